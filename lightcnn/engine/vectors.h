// The values of 16 images as vectors of the machine's width.
#pragma once
#include <cstdint>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#define INLINE inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

constexpr int IMAGES = 16;  // that go through the network together
#if defined(__AVX512F__)
constexpr int WIDTH = 16;
#elif defined(__AVX2__)
constexpr int WIDTH = 8;
#else
constexpr int WIDTH = 4;
#endif
constexpr int PARTS = IMAGES / WIDTH;  // vectors that hold one value of each image

// Without may_alias, as the intrinsics' types have it: each store would be a reason to read all sizes anew.
typedef float Vector __attribute__((vector_size(4 * WIDTH)));
typedef int32_t Integers __attribute__((vector_size(4 * WIDTH)));

// One value (a pixel of a map, a feature, a sum) of each of the 16 images.
struct alignas(64) Lanes {
    Vector part[PARTS];
    float& operator[](int image) { return reinterpret_cast<float*>(part)[image]; }
    float operator[](int image) const { return reinterpret_cast<const float*>(part)[image]; }
};

INLINE Vector all(float x) { return x - Vector{}; }
INLINE Vector relu(Vector x) {
    return x < 0.0f ? Vector{} : x;
}  // keeps NaN, so that a broken run is seen

// a * b + c, rounded once. It is always said and never left to the compiler (-ffp-contract=off): results
// must not depend on which compiler there is.
INLINE Vector multiply_add(Vector a, Vector b, Vector c) {
#if defined(__AVX512F__)
    return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
    return _mm256_fmadd_ps(a, b, c);
#elif defined(__ARM_NEON)
    return vfmaq_f32(c, a, b);
#else
    return a * b + c;
#endif
}

// Small whole numbers as bytes and back. By intrinsics, because g++ takes __builtin_convertvector one number
// at a time.
INLINE void store_bytes(uint8_t* to, Integers x) {
#if defined(__AVX512F__)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8((__m512i)x));
#elif defined(__AVX2__)
    const __m128i low = _mm256_castsi256_si128((__m256i)x);
    const __m128i high = _mm256_extracti128_si256((__m256i)x, 1);
    const __m128i halves = _mm_packs_epi32(low, high);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(halves, halves));
#else
    for (int i = 0; i < WIDTH; i++) to[i] = uint8_t(x[i]);
#endif
}

INLINE Integers load_bytes(const uint8_t* from) {
#if defined(__AVX512F__)
    return (Integers)_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
#elif defined(__AVX2__)
    return (Integers)_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
#else
    Integers x;
    for (int i = 0; i < WIDTH; i++) x[i] = from[i];
    return x;
#endif
}

// Four rows of four floats, at a, b, c, d -> their columns, at `out` and `step` floats apart.
INLINE void transpose(const float* a, const float* b, const float* c, const float* d, float* out,
                      int step) {
#if defined(__x86_64__)
    __m128 x = _mm_loadu_ps(a), y = _mm_loadu_ps(b), z = _mm_loadu_ps(c), w = _mm_loadu_ps(d);
    _MM_TRANSPOSE4_PS(x, y, z, w);
    _mm_storeu_ps(out, x), _mm_storeu_ps(out + step, y);
    _mm_storeu_ps(out + 2 * step, z), _mm_storeu_ps(out + 3 * step, w);
#else
    for (int i = 0; i < 4; i++, out += step) out[0] = a[i], out[1] = b[i], out[2] = c[i], out[3] = d[i];
#endif
}

// Adam's moments of a weight that no gradient reaches fall to numbers so small that the core takes a
// hundred cycles for each. While this lives, such numbers are zero.
class FlushDenormals {
#if defined(__x86_64__)
    unsigned before = _mm_getcsr();

public:
    FlushDenormals() { _mm_setcsr(before | 0x8040); }  // flush results to zero, take operands as zero
    ~FlushDenormals() { _mm_setcsr(before); }
#elif defined(__aarch64__)
    uint64_t before;

public:
    FlushDenormals() {
        __asm__ volatile("mrs %0, fpcr" : "=r"(before));
        __asm__ volatile("msr fpcr, %0" : : "r"(before | (1 << 24)));
    }
    ~FlushDenormals() { __asm__ volatile("msr fpcr, %0" : : "r"(before)); }
#else
public:
    FlushDenormals() {}
#endif
    FlushDenormals(const FlushDenormals&) = delete;
};
