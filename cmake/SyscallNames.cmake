# Writes `out`: one line NAME(call) for every system call that the kernel headers know.
function(bpfckpt_syscall_names out)
  execute_process(COMMAND ${CMAKE_C_COMPILER} -dM -E -include asm/unistd.h -x c /dev/null
                  OUTPUT_VARIABLE macros COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "#define __NR_[a-z0-9_]+ " macros "${macros}")
  list(TRANSFORM macros REPLACE "#define __NR_([a-z0-9_]+) " "NAME(\\1)")
  list(SORT macros)
  list(JOIN macros "\n" lines)
  file(CONFIGURE OUTPUT ${out} CONTENT "${lines}\n" @ONLY)
endfunction()
