// SPDX-License-Identifier: Apache-2.0
// Vector registers, x87 stack and the control words keep what they held: YMM always, ZMM and mask registers
// too where the CPU has AVX-512.
#include <cstdint>
#include <thread>

#include "harness/cr_test.h"

namespace {

struct alignas(64) State {
  unsigned char wide[32][64];
  std::uint64_t mask[8];
  double x87[2];
  std::uint32_t mxcsr;
  std::uint16_t fcw;
};

#define EACH16(op) \
  op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define HIGH16(op)                                                                                         \
  op(16) op(17) op(18) op(19) op(20) op(21) op(22) op(23) op(24) op(25) op(26) op(27) op(28) op(29) op(30) \
      op(31)
#define LOAD_Y(n) "vmovdqu " #n "*64(%[in]), %%ymm" #n "\n"
#define SAVE_Y(n) "vmovdqu %%ymm" #n ", " #n "*64(%[out])\n"
#define LOAD_Z(n) "vmovdqu64 " #n "*64(%[in]), %%zmm" #n "\n"
#define SAVE_Z(n) "vmovdqu64 %%zmm" #n ", " #n "*64(%[out])\n"
#define EACH_K(op) op(1) op(2) op(3) op(4) op(5) op(6) op(7)
#define LOAD_K(n) "kmovw 2048+" #n "*8(%[in]), %%k" #n "\n"
#define SAVE_K(n) "kmovw %%k" #n ", 2048+" #n "*8(%[out])\n"
#define CONTROL_IN "ldmxcsr %[mxcsr]\n fldcw %[fcw]\n fldl %[x0]\n fldl %[x1]\n"
#define WAIT "1: pause\n cmpl $0, (%[go])\n je 1b\n"
#define CONTROL_OUT "fstpl %[o1]\n fstpl %[o0]\n stmxcsr %[omxcsr]\n fnstcw %[ofcw]\n fninit\n vzeroupper\n"
#define OPERANDS                                                                                               \
  : [o0] "=m"(out.x87[0]), [o1] "=m"(out.x87[1]), [omxcsr] "=m"(out.mxcsr), [ofcw] "=m"(out.fcw) \
  : [in] "r"(&in), [out] "r"(&out), [go] "r"(&go), [x0] "m"(in.x87[0]), [x1] "m"(in.x87[1]), \
    [mxcsr] "m"(in.mxcsr), [fcw] "m"(in.fcw) \
  : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", \
    "xmm13", "xmm14", "xmm15", "cc", "memory"

void spin_avx(const State& in, State& out, const volatile std::uint32_t& go) {
  asm volatile(EACH16(LOAD_Y) CONTROL_IN WAIT EACH16(SAVE_Y) CONTROL_OUT OPERANDS);
}

void spin_avx512(const State& in, State& out, const volatile std::uint32_t& go) {
  asm volatile(EACH16(LOAD_Z) HIGH16(LOAD_Z) EACH_K(LOAD_K) CONTROL_IN WAIT EACH16(SAVE_Z) HIGH16(SAVE_Z)
                   EACH_K(SAVE_K) CONTROL_OUT OPERANDS);
}

}  // namespace

void cr::test() {
  static State in{}, out{};
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx")) skip("avx");
  const bool wide = __builtin_cpu_supports("avx512f");
  for (int r = 0; r < 32; ++r) {
    for (int i = 0; i < 64; ++i) in.wide[r][i] = static_cast<unsigned char>(r * 7 + i + 1);
  }
  for (int k = 0; k < 8; ++k) in.mask[k] = 0x1234 + k;
  in.x87[0] = 3.25;
  in.x87[1] = -1e300;
  in.mxcsr = 0x7f80;  // round toward zero, everything masked
  in.fcw = 0x0f7f;    // the same for x87
  volatile std::uint32_t go = 0;
  volatile bool started = false;
  std::thread thread([&] {
    started = true;
    wide ? spin_avx512(in, out, go) : spin_avx(in, out, go);
  });
  while (!started) ::usleep(1000);
  ::usleep(10'000);
  checkpoint_here();
  go = 1;
  thread.join();
  for (int r = 0; r < (wide ? 32 : 16); ++r) {
    CHECK(std::memcmp(in.wide[r], out.wide[r], wide ? 64 : 32) == 0);
  }
  for (int k = 1; wide && k < 8; ++k) CHECK_EQ(out.mask[k], in.mask[k]);
  CHECK_EQ(out.x87[0], in.x87[0]);
  CHECK_EQ(out.x87[1], in.x87[1]);
  CHECK_EQ(out.mxcsr & 0xffc0, in.mxcsr & 0xffc0U);
  CHECK_EQ(out.fcw, in.fcw);
}
