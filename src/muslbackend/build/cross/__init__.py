"""Cross compilation: zig or another compiler, CMake's toolchain file, the target's Python."""
