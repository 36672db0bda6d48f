// The few names of CUDA C that the test kernels need, for clang without the CUDA headers.
#pragma once
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __constant__ __attribute__((constant))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
typedef unsigned u32;
typedef unsigned long long u64;
typedef unsigned char u8;
struct __attribute__((aligned(16))) float4 { float x, y, z, w; };
static __device__ inline int tid_x() { return __nvvm_read_ptx_sreg_tid_x(); }
static __device__ inline int ntid_x() { return __nvvm_read_ptx_sreg_ntid_x(); }
static __device__ inline int ctaid_x() { return __nvvm_read_ptx_sreg_ctaid_x(); }
static __device__ inline int ctaid_y() { return __nvvm_read_ptx_sreg_ctaid_y(); }
static __device__ inline int nctaid_x() { return __nvvm_read_ptx_sreg_nctaid_x(); }
