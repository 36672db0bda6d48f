// C[M,N] = A[M,K] B[K,N], row-major. A block of 256 threads makes a tile of 64 x 64, a thread 4 x 4.
#include "cuda.cuh"

extern "C" __global__ void __launch_bounds__(256)
sgemm(const float *__restrict__ a, const float *__restrict__ b, float *__restrict__ c, int m, int n, int k) {
    __shared__ float as[16][64 + 4];
    __shared__ float bs[16][64];
    const int tx = tid_x() % 16, ty = tid_x() / 16;
    const int row0 = ctaid_y() * 64, col0 = ctaid_x() * 64;
    float acc[4][4] = {};
    for (int k0 = 0; k0 < k; k0 += 16) {
        for (int i = tid_x(); i < 64 * 16; i += 256) {
            const int r = i / 16, p = i % 16;
            as[p][r] = (row0 + r < m && k0 + p < k) ? a[(row0 + r) * k + k0 + p] : 0.0f;
        }
        for (int i = tid_x(); i < 64 * 16; i += 256) {
            const int p = i / 64, q = i % 64;
            bs[p][q] = (k0 + p < k && col0 + q < n) ? b[(k0 + p) * n + col0 + q] : 0.0f;
        }
        __syncthreads();
        for (int p = 0; p < 16; p++) {
            for (int i = 0; i < 4; i++) {
                for (int j = 0; j < 4; j++) {
                    acc[i][j] = __builtin_fmaf(as[p][ty * 4 + i], bs[p][tx * 4 + j], acc[i][j]);
                }
            }
        }
        __syncthreads();
    }
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 4; j++) {
            const int r = row0 + ty * 4 + i, q = col0 + tx * 4 + j;
            if (r < m && q < n) {
                c[r * n + q] = acc[i][j];
            }
        }
    }
}
