# What nearly every file includes and nobody here changes: protobuf, fmt, spdlog, and what they take from the
# standard library. Reading them costs three quarters of a file's compile time. Files still include what they use.
function(bpfckpt_precompiled)
  set(source ${CMAKE_BINARY_DIR}/precompiled.cc)
  file(CONFIGURE OUTPUT ${source} CONTENT "")
  add_library(bpfckpt_precompiled OBJECT ${source})
  target_link_libraries(bpfckpt_precompiled PUBLIC bpfckpt_text protobuf::libprotobuf Threads::Threads
                        PRIVATE bpfckpt_warnings)
  target_compile_options(bpfckpt_precompiled PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
  target_precompile_headers(bpfckpt_precompiled PRIVATE
    <algorithm> <array> <chrono> <cstdint> <filesystem> <functional> <map> <memory> <optional> <span> <string>
    <string_view> <unordered_map> <utility> <variant> <vector>
    <fmt/format.h> <spdlog/spdlog.h>
    <google/protobuf/any.pb.h> <google/protobuf/generated_message_reflection.h> <google/protobuf/map.h>
    <google/protobuf/repeated_field.h> <google/protobuf/generated_message_util.h>)
endfunction()

# `target` compiles with them. What it compiles must have the flags of all others.
function(bpfckpt_precompile target)
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
  target_link_libraries(${target} PRIVATE bpfckpt_text protobuf::libprotobuf Threads::Threads)
  target_precompile_headers(${target} REUSE_FROM bpfckpt_precompiled)
endfunction()
