# Every library that the program uses. The Debian packages that bring them are named in packages.txt.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
# Into the program itself, where the archive is there: a quarter of the time that it takes to start goes into loading
# this one library, which is as large as all others together.
find_library(BPFCKPT_PROTOBUF_ARCHIVE libprotobuf.a)
if(BPFCKPT_PROTOBUF_ARCHIVE)
  set(Protobuf_LIBRARY_RELEASE ${BPFCKPT_PROTOBUF_ARCHIVE} CACHE FILEPATH "protobuf, into the program itself" FORCE)
endif()
find_package(Protobuf REQUIRED)
find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(doctest REQUIRED)
pkg_check_modules(LIBBPF REQUIRED IMPORTED_TARGET libbpf)
pkg_check_modules(LIBELF REQUIRED IMPORTED_TARGET libelf)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
find_program(CLANG_BPF NAMES clang-19 clang-20 clang-18 clang REQUIRED)
find_program(BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)
