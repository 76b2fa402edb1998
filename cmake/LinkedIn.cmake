# Libraries go into the program itself where that can be done: of a dump of a small process, half the time went into
# loading shared ones and looking up their symbols. Where one has no archive, or a version that was not tried, the shared
# library is used. `-DBPFCKPT_LINKED_IN=OFF` uses shared ones only, as distributions want it.
option(BPFCKPT_LINKED_IN "link libraries into the program where their archives are there" ON)
if(CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  set(BPFCKPT_LINKED_IN OFF)
endif()

# Makes `target`, which pkg-config found as `prefix`, stand for the archives of it and of all that it needs.
function(bpfckpt_link_in target prefix)
  set(archives)
  foreach(name IN LISTS ${prefix}_STATIC_LIBRARIES)
    find_library(BPFCKPT_ARCHIVE_${name} lib${name}.a)
    mark_as_advanced(BPFCKPT_ARCHIVE_${name})
    if(NOT BPFCKPT_ARCHIVE_${name})
      return()
    endif()
    list(APPEND archives ${BPFCKPT_ARCHIVE_${name}})
  endforeach()
  set_property(TARGET ${target} PROPERTY INTERFACE_LINK_LIBRARIES ${archives})
endfunction()

# fmt and spdlog come as headers that hold everything and as shared libraries, in Debian not as archives: so the
# archive is made here, of the headers. Reading all of them in every file instead would double the time of a build.
if(BPFCKPT_LINKED_IN AND fmt_VERSION MATCHES "^9\\." AND spdlog_VERSION MATCHES "^1\\.10\\.")
  add_library(bpfckpt_text STATIC ${CMAKE_SOURCE_DIR}/cmake/linked/fmt.cc ${CMAKE_SOURCE_DIR}/cmake/linked/spdlog.cc)
  target_compile_definitions(bpfckpt_text PUBLIC
    $<TARGET_PROPERTY:spdlog::spdlog,INTERFACE_COMPILE_DEFINITIONS>)
  target_include_directories(bpfckpt_text SYSTEM PUBLIC
    $<TARGET_PROPERTY:spdlog::spdlog,INTERFACE_INCLUDE_DIRECTORIES>
    $<TARGET_PROPERTY:fmt::fmt,INTERFACE_INCLUDE_DIRECTORIES>)
  target_link_libraries(bpfckpt_text PUBLIC Threads::Threads)
else()
  add_library(bpfckpt_text INTERFACE)
  target_link_libraries(bpfckpt_text INTERFACE fmt::fmt spdlog::spdlog)
endif()

if(BPFCKPT_LINKED_IN)
  bpfckpt_link_in(PkgConfig::LIBELF LIBELF)
  bpfckpt_link_in(PkgConfig::LIBBPF LIBBPF)
endif()

# And the C++ library, into the program that is installed.
function(bpfckpt_link_in_runtime target)
  if(BPFCKPT_LINKED_IN)
    target_link_options(${target} PRIVATE -static-libstdc++ -static-libgcc -Wl,-z,pack-relative-relocs)
  endif()
endfunction()
