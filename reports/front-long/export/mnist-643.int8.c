/* 5vbln-6svbl-7svbln-7svblp-pool2, 8 bits. Written by search.export.
 * Compiled with -DMNIST_643_INT8_MAIN it is a program that tests itself. */
#include "mnist-643.int8.h"

#include <math.h>

static const int8_t mnist_643_int8_weights_0[45] = {
    54, -100, -102, 62, 62, 99, -65, 65, 127, 28, 127, 43, 70, 44, -103, 86, -55, -55, -69, -95, 127, -104,
    40, 116, 36, 105, 6, 76, -86, -79, 86, -60, -92, 51, 127, 10, -67, -56, -22, -48, -90, -36, -7, 0, -127
};

static const int32_t mnist_643_int8_biases_0[5] = {
    -13363, 24833, -11291, -2888, 37251
};

static const float mnist_643_int8_multipliers_0[5] = {
    2.00745161e-03f, 1.86029915e-03f, 1.76356256e-03f, 2.43037893e-03f, 1.24961103e-03f
};

static const int8_t mnist_643_int8_weights_1[45] = {
    -7, 29, -127, 31, -40, -117, -54, -71, -36, -49, -127, -104, -33, -11, 75, 103, 41, 19, 49, -29, -12, 40,
    73, 24, -5, 59, 127, 38, 19, -31, -8, 26, -89, -127, -107, 20, -16, 7, -127, -68, -28, -9, -23, 34, 72
};

static const float mnist_643_int8_multipliers_1[5] = {
    2.88800080e-03f, 2.55045248e-03f, 3.51390522e-03f, 3.16275517e-03f, 5.10368496e-03f
};

static const int8_t mnist_643_int8_weights_2[30] = {
    -100, 13, -86, -127, -51, 4, -86, 32, 56, -127, 115, 53, 113, 14, 127, -12, 16, -41, 63, 127, -65, -120,
    -47, -20, 127, -113, 127, -83, -58, 11
};

static const int32_t mnist_643_int8_biases_2[6] = {
    265, -5161, 5649, 1809, 16038, 1871
};

static const float mnist_643_int8_multipliers_2[6] = {
    1.00941230e-02f, 1.10633057e-02f, 1.03329280e-02f, 1.26695465e-02f, 6.87439879e-03f, 8.56080465e-03f
};

static const int8_t mnist_643_int8_weights_3[54] = {
    -96, -127, -85, -37, -105, -107, -69, 31, -28, 28, 117, 7, -71, -70, 58, -93, -127, -45, -46, 27, -28,
    -121, -92, -36, 10, -15, -127, 1, 127, 64, 61, 26, 118, 5, 13, 81, 90, -81, -63, 77, -19, -127, 115, -17,
    89, 13, 24, -2, -127, -29, 98, -95, -122, -13
};

static const float mnist_643_int8_multipliers_3[6] = {
    1.83603773e-03f, 3.13886721e-03f, 2.40781042e-03f, 4.06202441e-03f, 2.23603332e-03f, 2.85375142e-03f
};

static const int8_t mnist_643_int8_weights_4[42] = {
    1, -34, 127, -103, -86, -81, 42, 127, -20, -82, -58, 89, 33, -127, 66, 12, -85, -86, -2, -14, -20, -127,
    15, 12, -35, -39, 18, -127, 78, 42, 127, -55, -90, -57, 40, -49, -99, 110, 19, 9, -33, 127
};

static const int32_t mnist_643_int8_biases_4[7] = {
    3551, 6578, 2732, -393, -187, 17945, 2516
};

static const float mnist_643_int8_multipliers_4[7] = {
    6.69878162e-03f, 7.91433919e-03f, 1.16733965e-02f, 1.25549696e-02f, 8.83491151e-03f, 8.59598070e-03f,
    1.08338790e-02f
};

static const int8_t mnist_643_int8_weights_5[63] = {
    69, 85, 21, 127, -45, -15, -32, -13, -28, -18, -52, -72, -68, -36, 3, 127, 94, 112, -34, -26, -124, -37,
    -65, -127, -126, -100, -97, 86, 94, 127, 74, 57, 54, 13, 30, -85, 127, -30, -85, 17, -62, -8, -107, -111,
    -88, 45, 77, 127, -14, -37, -74, -44, -9, -122, 38, 71, 10, 71, 41, -61, 127, 35, -20
};

static const float mnist_643_int8_multipliers_5[7] = {
    5.29389642e-03f, 3.27297719e-03f, 2.78690690e-03f, 3.47852125e-03f, 2.96754902e-03f, 2.98710261e-03f,
    2.96433270e-03f
};

static const int8_t mnist_643_int8_weights_6[49] = {
    36, -42, 12, 127, 52, 12, 83, 60, 9, 75, 61, 127, 8, -35, 89, 127, 79, -37, 82, -75, -45, 31, -52, 101,
    11, -33, -127, -47, 40, -3, -57, -127, 63, -28, 43, -127, -63, 60, -18, 40, 21, 47, -127, -112, -28, 15,
    -20, 71, -18
};

static const int32_t mnist_643_int8_biases_6[7] = {
    -5449, 1606, -1778, -2177, 180, 33, 1151
};

static const float mnist_643_int8_multipliers_6[7] = {
    2.71357298e-02f, 2.51860786e-02f, 1.81558710e-02f, 1.75883174e-02f, 2.23125704e-02f, 2.64490340e-02f,
    2.45016254e-02f
};

static const float mnist_643_int8_multipliers_7[4] = {
    2.86176234e-01f, 2.86176234e-01f, 2.86176234e-01f, 2.86176234e-01f
};

static const int8_t mnist_643_int8_weights_8[280] = {
    -70, 24, 18, 38, 67, -3, 7, 53, -8, 10, -83, -127, -26, 38, -34, 55, -34, 6, -52, 69, -29, -32, 55, -70,
    -31, -78, -13, -100, 43, 15, -7, 20, 20, 41, 50, -13, -52, 41, -32, -78, 5, -58, -61, -91, -10, -94, -13,
    3, -106, -13, -127, -11, -15, -34, 66, -17, -89, 91, -127, 32, -64, -34, 90, 111, 4, -30, -104, 41, -5,
    29, 11, -56, 33, -53, 0, 29, -126, -63, 34, 2, 91, -17, -90, 108, -51, -33, 27, -41, -109, -24, -81, -91,
    16, -36, -127, -30, 39, 59, 31, 70, 20, -4, 6, -4, -80, 24, -69, -13, -20, 24, 8, 10, 56, 10, 15, -17, 44,
    31, -10, 31, -64, 19, 69, 95, 16, -52, 6, -127, -40, -95, 25, -29, 1, 25, -5, 22, -5, -24, 48, -29, -29,
    -76, 50, -26, 0, 9, -82, -90, -63, 9, -113, -98, 18, -127, 19, 81, -29, 91, 4, -48, 17, 21, -65, -57, -25,
    59, 15, 0, 19, -109, 26, -16, 67, 19, 10, -17, -53, 24, -90, -127, -26, -38, -1, 53, -105, 17, -35, 21, 1,
    -47, 49, 33, -13, 79, -25, -27, 63, 63, -19, -62, 52, -54, -41, 80, 30, 67, 44, 78, 43, -42, -20, -120,
    83, -21, -31, -34, -85, -68, -127, 29, -7, 14, -63, -29, -33, -28, -73, -26, -80, 13, -27, -127, 20, -66,
    53, -83, -46, 52, -20, 61, -25, 22, -61, -8, 60, 58, 47, 27, 8, -44, 2, -15, -101, -20, 39, 57, 4, -93,
    51, -57, 105, -34, 55, 110, -88, 24, -57, -90, -39, 2, 94, -73, 84, -17, -7, -69, -79, -127, -17, -77
};

static const int32_t mnist_643_int8_biases_8[10] = {
    4273, 18167, -2215, 9926, -227, 11287, 3719, 3638, 8567, 3481
};

static const float mnist_643_int8_multipliers_8[10] = {
    7.40380550e-04f, 8.44733324e-04f, 5.23237220e-04f, 8.96749843e-04f, 8.52810277e-04f, 6.01653184e-04f,
    7.62076466e-04f, 6.58810954e-04f, 6.99379074e-04f, 5.28660836e-04f
};

/* The byte that is nearest, the even one of two that are equally near; `zero` stands for 0. */
static uint8_t mnist_643_int8_byte(float scaled, int32_t zero)
{
    return scaled <= (float)-zero ? (uint8_t)0 : scaled >= (float)(255 - zero) ? (uint8_t)255
        : (uint8_t)((int32_t)lrintf(scaled) + zero);
}

/* A square convolution, perhaps depthwise, the sum with `added`, an activation with `slope` below zero, and the
 * largest of each pool x pool pixels. */
static void mnist_643_int8_block(
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
            *out++ = mnist_643_int8_byte(largest, out_zero);
        }
        weights += read * kernel * kernel;
    }
}

/* Means over a grid x grid raster of windows, which overlap where the grid does not divide the side. */
static void mnist_643_int8_average_of_signed(
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
            *out++ = mnist_643_int8_byte((float)sum * multipliers[window], out_zero);
        }
        in += side * side;
    }
}

static int32_t mnist_643_int8_product(const uint8_t *in, const int8_t *weights, int32_t sum, int32_t length)
{
    for (int32_t i = 0; i < length; i++)
        sum += (int32_t)weights[i] * in[i];
    return sum;
}

void mnist_643_int8_classify(const uint8_t *image, float *scores, uint8_t *arena)
{
    /* conv 3x3 1-5 */
    mnist_643_int8_block(image, arena, mnist_643_int8_weights_0, mnist_643_int8_biases_0, mnist_643_int8_multipliers_0, 0, 0.0f, 0, 0, 20, 1.00000001e-01f, 0, 1, 1, 28, 5, 3, 0, 1);
    /* depthwise 3x3 5 */
    mnist_643_int8_block(arena, arena + 3380, mnist_643_int8_weights_1, 0, mnist_643_int8_multipliers_1, 0, 0.0f, 0, 20, 139, 1.00000000e+00f, 1, 1, 5, 26, 5, 3, 0, 1);
    /* conv 1x1 5-6, max pooling 2x2 */
    mnist_643_int8_block(arena + 3380, arena, mnist_643_int8_weights_2, mnist_643_int8_biases_2, mnist_643_int8_multipliers_2, 0, 0.0f, 0, 139, 12, 1.00000001e-01f, 0, 1, 5, 24, 6, 1, 0, 2);
    /* depthwise 3x3 6 */
    mnist_643_int8_block(arena, arena + 5660, mnist_643_int8_weights_3, 0, mnist_643_int8_multipliers_3, 0, 0.0f, 0, 12, 161, 1.00000000e+00f, 1, 1, 6, 12, 6, 3, 0, 1);
    /* conv 1x1 6-7 */
    mnist_643_int8_block(arena + 5660, arena, mnist_643_int8_weights_4, mnist_643_int8_biases_4, mnist_643_int8_multipliers_4, 0, 0.0f, 0, 161, 14, 1.00000001e-01f, 0, 1, 6, 10, 7, 1, 0, 1);
    /* depthwise 3x3 7 */
    mnist_643_int8_block(arena, arena + 5812, mnist_643_int8_weights_5, 0, mnist_643_int8_multipliers_5, 0, 0.0f, 0, 14, 130, 1.00000000e+00f, 1, 1, 7, 10, 7, 3, 0, 1);
    /* conv 1x1 7-7, max pooling 2x2 */
    mnist_643_int8_block(arena + 5812, arena, mnist_643_int8_weights_6, mnist_643_int8_biases_6, mnist_643_int8_multipliers_6, 0, 0.0f, 0, 130, 23, 1.00000001e-01f, 0, 1, 7, 8, 7, 1, 0, 2);
    /* average pooling to 2x2 */
    mnist_643_int8_average_of_signed(arena, arena + 6232, mnist_643_int8_multipliers_7, 23, 19, 7, 4, 2);
    /* linear 28-10 */
    for (int32_t unit = 0; unit < 10; unit++) {
        const int32_t sum = mnist_643_int8_product(arena + 6232, mnist_643_int8_weights_8 + unit * 28, mnist_643_int8_biases_8[unit], 28);
        scores[unit] = (float)sum * mnist_643_int8_multipliers_8[unit];
    }
}

#ifdef MNIST_643_INT8_MAIN
#include <math.h>
#include <stdio.h>

/* The scores of an image of stripes, as PyTorch has them, in the same 8 bits. */
static const float expected[10] = {
    -3.75965238e+00f, -1.63270054e+01f, -7.87262726e+00f, -1.23105822e+01f, -4.12845469e+00f,
    -4.15261030e+00f, -2.49351430e+00f, -1.33185225e+01f, 7.11828041e+00f, -3.69851112e+00f
};

int main(void)
{
    static uint8_t image[784], arena[MNIST_643_INT8_ARENA];
    float scores[10], largest = 0.0f;
    for (int32_t i = 0; i < 784; i++)
        image[i] = (uint8_t)(37 * i % 256);
    mnist_643_int8_classify(image, scores, arena);
    for (int32_t i = 0; i < 10; i++) {
        const float difference = fabsf(scores[i] - expected[i]);
        largest = difference > largest ? difference : largest;
        printf("%.9g\n", (double)scores[i]);
    }
    return largest <= 0.0f ? 0 : 1;
}
#endif
