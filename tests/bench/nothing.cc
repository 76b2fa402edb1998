// SPDX-License-Identifier: Apache-2.0
// The yardstick "fork, exec and wait for a static binary" needs a static binary.
int main() {
  return 0;
}
