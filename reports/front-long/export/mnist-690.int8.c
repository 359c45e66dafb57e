/* 4vbln-6svbl-8svbln-8svblp-pool2, 8 bits. Written by search.export.
 * Compiled with -DMNIST_690_INT8_MAIN it is a program that tests itself. */
#include "mnist-690.int8.h"

#include <math.h>

static const int8_t mnist_690_int8_weights_0[36] = {
    57, -68, -34, 69, -25, -71, 57, 127, -2, 62, 25, 99, 7, 46, 127, -95, -31, 22, -127, -4, 81, -75, 52, 84,
    -99, -9, -5, -89, 83, -26, 40, 61, -4, 127, -30, -73
};

static const int32_t mnist_690_int8_biases_0[4] = {
    -10927, 173744, -940, -2911
};

static const float mnist_690_int8_multipliers_0[4] = {
    1.41101936e-03f, 9.01083462e-04f, 1.13301340e-03f, 1.56870054e-03f
};

static const int8_t mnist_690_int8_weights_1[36] = {
    -69, -46, -36, 26, -127, -88, -112, -50, -22, -29, -60, -122, 20, -21, -21, 65, 127, 126, -70, -33, -5,
    62, -17, 25, 72, 127, 104, -60, -27, -28, -83, -127, -32, -70, -49, -100
};

static const float mnist_690_int8_multipliers_1[4] = {
    3.66716157e-03f, 3.22058029e-03f, 4.92381351e-03f, 3.07488372e-03f
};

static const int8_t mnist_690_int8_weights_2[24] = {
    40, 127, -124, 3, -48, 11, 16, -127, 127, 77, -56, -102, 0, -127, 7, 1, -127, 45, -49, 55, 44, 3, -127, 56
};

static const int32_t mnist_690_int8_biases_2[6] = {
    -5611, -5202, -3416, 5476, 2731, 3311
};

static const float mnist_690_int8_multipliers_2[6] = {
    1.64217595e-02f, 8.19669291e-03f, 1.74099039e-02f, 1.39178438e-02f, 1.32764149e-02f, 1.41912596e-02f
};

static const int8_t mnist_690_int8_weights_3[54] = {
    30, 42, 127, 29, 120, -46, -78, -10, -122, -8, 37, 73, -45, 127, 80, -36, 75, 99, 29, 13, -7, 87, 83, 86,
    7, 127, 69, 12, 72, 57, 90, 127, -3, 6, -65, -43, -5, 7, -10, 9, -6, -69, -127, -55, -86, 24, -2, 55, 60,
    49, 127, 55, 7, 35
};

static const float mnist_690_int8_multipliers_3[6] = {
    2.06196355e-03f, 2.22995551e-03f, 1.66967034e-03f, 3.10379453e-03f, 2.26937444e-03f, 3.34293745e-03f
};

static const int8_t mnist_690_int8_weights_4[48] = {
    -127, -27, -8, -121, -41, -23, 127, -36, 23, -34, 18, -17, 15, -5, -54, 56, -41, 127, 21, 67, 92, -127,
    -80, 106, -44, 42, -73, 127, -12, 97, 63, 127, -29, 21, 123, 28, -66, -4, -127, -88, -24, 12, 26, -107,
    -20, -1, -75, -127
};

static const int32_t mnist_690_int8_biases_4[8] = {
    2997, 1826, -8020, 6922, -4032, 6520, 3449, 9966
};

static const float mnist_690_int8_multipliers_4[8] = {
    7.61696650e-03f, 9.80902091e-03f, 6.93706749e-03f, 8.24929588e-03f, 6.49461150e-03f, 7.99729116e-03f,
    7.45663233e-03f, 1.06679313e-02f
};

static const int8_t mnist_690_int8_weights_5[72] = {
    21, -42, -77, -127, -52, -68, 22, 29, -43, 2, -2, -81, -55, 45, -82, -94, 99, -127, 6, 79, 22, 114, -35,
    -127, 2, -53, -22, -33, 33, -97, 53, 57, -26, 127, 65, 50, -30, -17, -106, -74, -32, -127, -39, -78, -73,
    33, -78, 55, 87, 127, 84, 48, 41, 9, -70, -29, -39, 25, -43, -25, 127, 78, -96, -13, 74, 127, 85, 80, -99,
    -22, -109, -34
};

static const float mnist_690_int8_multipliers_5[8] = {
    3.71266878e-03f, 3.12271458e-03f, 5.02004148e-03f, 2.32946663e-03f, 3.54115921e-03f, 2.68726819e-03f,
    3.82021256e-03f, 3.23846913e-03f
};

static const int8_t mnist_690_int8_weights_6[64] = {
    127, -48, 123, -35, 43, 0, -36, -22, 70, -108, -124, -21, 39, -87, 127, 58, 16, 16, 69, 22, 127, 0, -47,
    -28, -14, -7, -127, 4, 52, -96, 52, -42, -8, 22, 77, -111, 104, 14, -67, -127, 112, 127, 79, 40, 69, -69,
    -94, 74, 2, -64, 17, -18, -60, -27, -76, -127, -61, -54, 127, -105, 33, -47, -52, 99
};

static const int32_t mnist_690_int8_biases_6[8] = {
    5972, 3006, 987, 1439, 12454, 116, 1286, 4710
};

static const float mnist_690_int8_multipliers_6[8] = {
    2.12582257e-02f, 1.96456965e-02f, 1.77119356e-02f, 2.55985577e-02f, 1.79383922e-02f, 2.11563352e-02f,
    2.30058786e-02f, 1.82624571e-02f
};

static const float mnist_690_int8_multipliers_7[4] = {
    3.71335000e-01f, 3.71335000e-01f, 3.71335000e-01f, 3.71335000e-01f
};

static const int8_t mnist_690_int8_weights_8[320] = {
    -13, -1, -86, -20, 12, -1, -3, -10, 60, 3, -26, 52, -17, -67, 10, -69, -16, 9, 9, -127, -26, 5, -12, 2,
    -10, 1, -41, 14, -25, 20, 0, 5, -21, -10, -10, -50, -49, -41, -35, -11, 10, 26, 35, -23, -127, -41, -79,
    10, 4, -9, -20, -25, -19, -55, -46, -29, -5, -53, 5, -11, 13, -29, -5, 18, 12, -6, -44, -55, -16, -83, 91,
    38, -74, -16, 22, 127, -69, -19, -2, 105, -27, -121, 25, -102, 44, 0, 7, -98, 47, -43, 43, 24, -57, -9,
    -70, 80, 69, 27, -11, 51, -17, -51, -43, -29, -95, 39, -127, -45, -114, 69, -17, 6, -19, -100, -26, -91,
    -11, 49, 95, 78, -2, 0, 37, 33, -58, -21, -33, -29, -63, -58, 44, 27, -58, -38, -28, -14, 37, 19, 41, -66,
    53, -7, 4, -28, 2, 54, -54, 48, 33, -36, -55, -127, 9, -44, -19, -97, 39, 25, 41, 9, -64, -105, -24, 6,
    12, 76, -17, -36, -84, -27, -83, 34, -29, 14, 5, -21, 24, -37, -45, -127, -37, -91, 88, 51, -39, 50, 57,
    28, -27, -31, 4, -44, -46, -21, -92, -25, -35, 1, 13, 15, 41, -23, -27, 27, 26, 50, -8, 18, -24, 30, 18,
    -87, -127, -30, -7, 22, -76, 60, -90, 44, -17, -39, 24, -17, 28, 29, 21, -5, 4, -33, -10, 4, 7, -15, -15,
    -7, -127, -7, -92, -32, -15, 5, 9, 36, -10, -10, -20, -64, 15, -7, -13, -49, 18, 20, -13, -9, -19, -20,
    -2, -47, 18, 34, 18, 24, -82, -3, 14, -127, 56, 17, 23, 27, 13, -17, 21, 33, 37, 23, -8, 49, -2, -29, -60,
    -9, 19, -9, -18, -24, 7, -48, 48, 53, 61, 28, -63, -113, 8, -42, 89, -113, 70, -93, -6, -122, 43, 9, -52,
    107, 27, 76, -92, -104, 11, 5, 8, -127, 27, -42, 30, -37
};

static const int32_t mnist_690_int8_biases_8[10] = {
    6628, 19761, 7796, 11401, 5187, 13872, 8137, 7448, -1238, 1348
};

static const float mnist_690_int8_multipliers_8[10] = {
    1.22383737e-03f, 1.15436479e-03f, 4.78055037e-04f, 6.69502188e-04f, 8.43072601e-04f, 5.15587395e-04f,
    8.80744774e-04f, 1.09132100e-03f, 7.36880116e-04f, 4.29150648e-04f
};

/* The byte that is nearest, the even one of two that are equally near; `zero` stands for 0. */
static uint8_t mnist_690_int8_byte(float scaled, int32_t zero)
{
    return scaled <= (float)-zero ? (uint8_t)0 : scaled >= (float)(255 - zero) ? (uint8_t)255
        : (uint8_t)((int32_t)lrintf(scaled) + zero);
}

/* A square convolution, perhaps depthwise, the sum with `added`, an activation with `slope` below zero, and the
 * largest of each pool x pool pixels. */
static void mnist_690_int8_block(
    const uint8_t *in, uint8_t *out, const int8_t *weights, const int32_t *biases,
    const float *multipliers, const uint8_t *added,
    float added_multiplier, int32_t added_zero, int32_t in_zero, int32_t out_zero,
    float slope, int32_t depthwise, int32_t stride, int32_t in_channels, int32_t side, int32_t channels, int32_t kernel,
    int32_t padding, int32_t pool)
{
    const int32_t own_side = (side + 2 * padding - kernel) / stride + 1, out_side = own_side / pool;
    const int32_t read = depthwise ? 1 : in_channels;
    for (int32_t channel = 0; channel < channels; channel++) {
        for (int32_t pixel = 0; pixel < out_side * out_side; pixel++) {
            float largest = 0.0f;
            for (int32_t part = 0; part < pool * pool; part++) {
                const int32_t y = pixel / out_side * pool + part / pool, x = pixel % out_side * pool + part % pool;
                const int32_t top = y * stride - padding, left = x * stride - padding;
                const int32_t first_row = top < 0 ? -top : 0, rows = side - top < kernel ? side - top : kernel;
                const int32_t first = left < 0 ? -left : 0, columns = side - left < kernel ? side - left : kernel;
                int32_t sum = biases ? biases[channel] : 0;
                for (int32_t i = 0; i < read; i++) {
                    const uint8_t *maps = in + (depthwise ? channel : i) * side * side;
                    for (int32_t row = first_row; row < rows; row++) {
                        const int8_t *weight = weights + (i * kernel + row) * kernel;
                        for (int32_t column = first; column < columns; column++)
                            sum += (int32_t)weight[column] * ((int32_t)maps[(top + row) * side + left + column] - in_zero);
                    }
                }
                float result = (float)sum * multipliers[channel];
                if (added) {
                    const int32_t other = (int32_t)added[(channel * own_side + y) * own_side + x] - added_zero;
                    const float scaled = (float)other * added_multiplier;
                    result += scaled;
                }
                result = result < 0.0f ? result * slope : result;
                largest = part == 0 || result > largest ? result : largest;
            }
            *out++ = mnist_690_int8_byte(largest, out_zero);
        }
        weights += read * kernel * kernel;
    }
}

/* Means over a grid x grid raster of windows, which overlap where the grid does not divide the side. */
static void mnist_690_int8_average_of_signed(
    const uint8_t *in, uint8_t *out, const float *multipliers, int32_t in_zero, int32_t out_zero, int32_t channels,
    int32_t side, int32_t grid)
{
    for (int32_t channel = 0; channel < channels; channel++) {
        for (int32_t window = 0; window < grid * grid; window++) {
            const int32_t i = window / grid, j = window % grid;
            const int32_t top = i * side / grid, bottom = ((i + 1) * side + grid - 1) / grid;
            const int32_t left = j * side / grid, right = ((j + 1) * side + grid - 1) / grid;
            int32_t sum = 0;
            for (int32_t row = top; row < bottom; row++)
                for (int32_t column = left; column < right; column++)
                    sum += (int32_t)in[row * side + column] - in_zero;
            *out++ = mnist_690_int8_byte((float)sum * multipliers[window], out_zero);
        }
        in += side * side;
    }
}

static int32_t mnist_690_int8_product(const uint8_t *in, const int8_t *weights, int32_t sum, int32_t length)
{
    for (int32_t i = 0; i < length; i++)
        sum += (int32_t)weights[i] * in[i];
    return sum;
}

void mnist_690_int8_classify(const uint8_t *image, float *scores, uint8_t *arena)
{
    /* conv 3x3 1-4 */
    mnist_690_int8_block(image, arena, mnist_690_int8_weights_0, mnist_690_int8_biases_0, mnist_690_int8_multipliers_0, 0, 0.0f, 0, 0, 9, 1.00000001e-01f, 0, 1, 1, 28, 4, 3, 0, 1);
    /* depthwise 3x3 4 */
    mnist_690_int8_block(arena, arena + 2704, mnist_690_int8_weights_1, 0, mnist_690_int8_multipliers_1, 0, 0.0f, 0, 9, 110, 1.00000000e+00f, 1, 1, 4, 26, 4, 3, 0, 1);
    /* conv 1x1 4-6, max pooling 2x2 */
    mnist_690_int8_block(arena + 2704, arena, mnist_690_int8_weights_2, mnist_690_int8_biases_2, mnist_690_int8_multipliers_2, 0, 0.0f, 0, 110, 12, 1.00000001e-01f, 0, 1, 4, 24, 6, 1, 0, 2);
    /* depthwise 3x3 6 */
    mnist_690_int8_block(arena, arena + 4408, mnist_690_int8_weights_3, 0, mnist_690_int8_multipliers_3, 0, 0.0f, 0, 12, 151, 1.00000000e+00f, 1, 1, 6, 12, 6, 3, 0, 1);
    /* conv 1x1 6-8 */
    mnist_690_int8_block(arena + 4408, arena, mnist_690_int8_weights_4, mnist_690_int8_biases_4, mnist_690_int8_multipliers_4, 0, 0.0f, 0, 151, 12, 1.00000001e-01f, 0, 1, 6, 10, 8, 1, 0, 1);
    /* depthwise 3x3 8 */
    mnist_690_int8_block(arena, arena + 4496, mnist_690_int8_weights_5, 0, mnist_690_int8_multipliers_5, 0, 0.0f, 0, 12, 120, 1.00000000e+00f, 1, 1, 8, 10, 8, 3, 0, 1);
    /* conv 1x1 8-8, max pooling 2x2 */
    mnist_690_int8_block(arena + 4496, arena, mnist_690_int8_weights_6, mnist_690_int8_biases_6, mnist_690_int8_multipliers_6, 0, 0.0f, 0, 120, 23, 1.00000001e-01f, 0, 1, 8, 8, 8, 1, 0, 2);
    /* average pooling to 2x2 */
    mnist_690_int8_average_of_signed(arena, arena + 4976, mnist_690_int8_multipliers_7, 23, 22, 8, 4, 2);
    /* linear 32-10 */
    for (int32_t unit = 0; unit < 10; unit++) {
        const int32_t sum = mnist_690_int8_product(arena + 4976, mnist_690_int8_weights_8 + unit * 32, mnist_690_int8_biases_8[unit], 32);
        scores[unit] = (float)sum * mnist_690_int8_multipliers_8[unit];
    }
}

#ifdef MNIST_690_INT8_MAIN
#include <math.h>
#include <stdio.h>

/* The scores of an image of stripes, as PyTorch has them, in the same 8 bits. */
static const float expected[10] = {
    -3.39737248e+00f, -7.52299547e+00f, 6.01871312e-01f, -8.07017899e+00f, -3.73649788e+00f, -6.62993813e+00f,
    -4.67939711e+00f, -1.29921761e+01f, -3.00499701e+00f, -8.25299644e+00f
};

int main(void)
{
    static uint8_t image[784], arena[MNIST_690_INT8_ARENA];
    float scores[10], largest = 0.0f;
    for (int32_t i = 0; i < 784; i++)
        image[i] = (uint8_t)(37 * i % 256);
    mnist_690_int8_classify(image, scores, arena);
    for (int32_t i = 0; i < 10; i++) {
        const float difference = fabsf(scores[i] - expected[i]);
        largest = difference > largest ? difference : largest;
        printf("%.9g\n", (double)scores[i]);
    }
    return largest <= 0.0f ? 0 : 1;
}
#endif
