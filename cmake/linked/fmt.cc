// SPDX-License-Identifier: Apache-2.0
// The part of fmt that its shared library holds, for the program itself (cmake/LinkedIn.cmake): its
// definitions, and of its templates what our code asks for.
#include <fmt/format-inl.h>

FMT_BEGIN_NAMESPACE
namespace detail {

template char decimal_point_impl(locale_ref);
template thousands_sep_result<char> thousands_sep_impl(locale_ref);
template dragonbox::decimal_fp<float> dragonbox::to_decimal(float) noexcept;
template dragonbox::decimal_fp<double> dragonbox::to_decimal(double) noexcept;

}  // namespace detail
FMT_END_NAMESPACE
