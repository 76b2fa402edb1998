// SPDX-License-Identifier: Apache-2.0
#include "image/references.h"

#include <string>
#include <unordered_map>

#include "image/directory.h"
#include "model/details.h"
#include "model/page_place.h"

namespace bpfckpt::image {
namespace {

class References {
 public:
  explicit References(const pb::Manifest& manifest) : page_size_(manifest.page_size()) {
    for (const auto& it : manifest.files()) sizes_.emplace(it.name(), it.size());
  }

  Result<void> check_pages(const pb::AddressSpace& mm, const ModelIndex& index) const {
    for (const auto& run : mm.pages()) {
      // validate() has resolved the owner.
      const auto& owner = run.owner_mm_id() == 0 ? mm : *index.address_space(run.owner_mm_id());
      const PagePlace place = PagePlace::of(run.index());
      const std::string& image = owner.page_images(static_cast<int>(place.image));
      TRY_ASSIGN(std::uint64_t size, size_of(image));
      std::uint64_t pages = size / page_size_;
      if (place.page > pages || run.count() > pages - place.page)
        return fail(Error::bad_image(
            fmt::format("{} pages at {:#x} are beyond the end of {}", run.count(), run.start(), image)));
    }
    return {};
  }

  Result<void> check_content(const pb::Content& content) const {
    if (content.extents().empty()) return {};  // all hole: no image needed
    TRY_ASSIGN(std::uint64_t size, size_of(content.image()));
    for (const auto& it : content.extents())
      if (it.image_offset() > size || it.length() > size - it.image_offset())
        return fail(Error::bad_image(fmt::format("{} bytes at {} are beyond the end of {}", it.length(),
                                                 it.offset(), content.image())));
    return {};
  }

 private:
  Result<std::uint64_t> size_of(const std::string& name) const {
    auto it = sizes_.find(name);
    if (it == sizes_.end())
      return fail(Error::bad_image(fmt::format("no image file \"{}\"", printable(name))));
    return it->second;
  }

  std::unordered_map<std::string, std::uint64_t> sizes_;
  std::uint64_t page_size_;
};

}  // namespace

Result<void> check_references(const Model& model, const pb::Manifest& manifest) {
  if (manifest.page_size() != kPageSize)
    return fail(Error::bad_image(fmt::format("page size {} is not known", manifest.page_size())));
  References references(manifest);
  ModelIndex index(model);
  for (const auto& mm : model.memory.address_spaces())
    TRY(references.check_pages(mm, index), "address space {}", mm.id());
  auto check = [&](const pb::Content& content) { return references.check_content(content); };
  for (const auto& it : model.files.files())
    if (it.has_detail()) TRY(for_each_content(it.detail(), check), "file {}", it.id());
  for (const auto& it : model.files.objects())
    if (it.has_detail()) TRY(for_each_content(it.detail(), check), "file object {}", it.id());
  return {};
}

}  // namespace bpfckpt::image
