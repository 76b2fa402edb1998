# Warnings are errors everywhere in our own code; generated code (protobuf) is left alone.
add_library(bpfckpt_warnings INTERFACE)
target_compile_options(bpfckpt_warnings INTERFACE -Wall -Wextra -Werror -Wno-missing-field-initializers)
