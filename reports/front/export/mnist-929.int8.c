/* 8vbn-8k5svbx2-5sb-pool3, 8 bits. Written by search.export.
 * Compiled with -DMNIST_929_INT8_MAIN it is a program that tests itself. */
#include "mnist-929.int8.h"

#include <math.h>

static const int8_t mnist_929_int8_weights_0[72] = {
    -2, 127, 45, 12, 23, -42, -7, 11, -25, -52, -59, 127, -12, -22, 53, -79, -10, -16, -25, 17, -49, -34,
    -127, -121, -40, 43, 75, -74, 11, 14, -19, -127, -115, 108, 49, 30, -69, -78, 84, -9, 127, 74, 82, -65,
    -76, -56, 127, 100, 72, 116, 119, -97, -63, -102, 40, -31, -66, -26, -117, 67, -127, 69, 31, 101, 46, -49,
    -87, 127, 32, -38, -23, 76
};

static const int32_t mnist_929_int8_biases_0[8] = {
    16114, 14164, 19111, 7666, -10387, 1522, 3539, -20048
};

static const float mnist_929_int8_multipliers_0[8] = {
    3.31533467e-03f, 3.52562848e-03f, 2.07905727e-03f, 3.08777811e-03f, 3.74628487e-03f, 1.75048318e-03f,
    2.85793585e-03f, 2.99294223e-03f
};

static const int8_t mnist_929_int8_weights_1[200] = {
    -60, 7, 28, -14, -24, 19, -35, -39, -102, -112, -74, -127, -12, 92, 94, -6, -14, 3, -16, -7, 58, -22, -1,
    -16, -1, 48, 40, -68, -7, 27, -32, -33, -72, 22, 110, 12, -28, -37, 89, 127, 43, -53, -58, -28, -16, 11,
    12, -61, -99, -110, -3, 127, 27, 79, 38, -50, 83, 32, 22, 53, -39, -34, -33, -52, -56, 26, -55, -112, -89,
    -11, -66, -82, -41, -13, -56, 71, -29, 31, 33, 34, 86, -16, -3, -16, 94, 71, 97, 69, 58, 12, 70, 79, 80,
    -73, 9, 127, -16, -74, -77, 19, -18, -22, -60, -43, -79, -31, 69, 44, -25, -50, -45, 114, 37, 52, 112,
    -73, 94, 87, 127, 60, 18, 26, 94, 3, 101, -69, -14, 31, 30, 57, -19, -11, 53, 39, 48, -18, 51, 74, 12,
    -13, -100, -7, 9, -34, -50, -123, -1, 49, 11, -127, -112, -63, -47, -127, -114, 68, -87, 21, 118, -113,
    -21, 42, -53, 5, 40, 31, 72, 119, 20, 37, 120, 47, 91, 35, -29, 13, 27, -18, -61, -14, 14, 30, 6, -13, 22,
    21, -64, -28, 124, 127, 85, 18, -54, 89, 125, 46, 40, -22, -14, -45
};

static const float mnist_929_int8_multipliers_1[8] = {
    1.38536724e-03f, 1.31896767e-03f, 1.31133560e-03f, 1.58478657e-03f, 1.17222173e-03f, 1.55653781e-03f,
    1.08311919e-03f, 1.59556279e-03f
};

static const int8_t mnist_929_int8_weights_2[64] = {
    88, -6, 127, -98, -89, 92, -40, 62, -71, 31, 23, -81, 108, 127, 16, -10, 0, 69, 29, 19, 36, -87, 29, -127,
    65, 108, -93, 127, -83, 120, 7, 102, -56, 35, -34, -28, 20, -42, -127, -51, -59, -30, 4, -127, 51, -30, 4,
    -32, -59, -110, 21, 127, -98, -33, -39, 95, -50, 29, -127, 16, -9, 63, 100, 6
};

static const int32_t mnist_929_int8_biases_2[8] = {
    9674, -1262, 3078, -1711, -2549, 1790, -4757, -2975
};

static const float mnist_929_int8_multipliers_2[8] = {
    1.33904675e-02f, 9.30190179e-03f, 1.08682411e-02f, 9.16494895e-03f, 1.98878981e-02f, 1.33787859e-02f,
    1.12666357e-02f, 1.09996144e-02f
};

static const float mnist_929_int8_multipliers_3[8] = {
    1.84444967e-03f, 1.75604678e-03f, 1.74588559e-03f, 2.10995274e-03f, 1.56067230e-03f, 2.07234290e-03f,
    1.44204276e-03f, 2.12429999e-03f
};

static const int8_t mnist_929_int8_weights_4[64] = {
    88, -6, 127, -98, -89, 92, -40, 62, -71, 31, 23, -81, 108, 127, 16, -10, 0, 69, 29, 19, 36, -87, 29, -127,
    65, 108, -93, 127, -83, 120, 7, 102, -56, 35, -34, -28, 20, -42, -127, -51, -59, -30, 4, -127, 51, -30, 4,
    -32, -59, -110, 21, 127, -98, -33, -39, 95, -50, 29, -127, 16, -9, 63, 100, 6
};

static const int32_t mnist_929_int8_biases_4[8] = {
    7894, -747, 3402, -2534, -2434, 863, -855, -2304
};

static const float mnist_929_int8_multipliers_4[8] = {
    9.33931768e-03f, 1.18709467e-02f, 1.23715857e-02f, 7.71636004e-03f, 1.33330990e-02f, 1.69342570e-02f,
    1.05575696e-02f, 9.07519180e-03f
};

static const int8_t mnist_929_int8_weights_5[72] = {
    32, 36, -36, 28, 127, 38, 45, 19, 81, 82, -91, 0, -76, -72, 35, -34, -127, 4, -24, -56, -19, 64, -127,
    -68, -112, -37, 78, -49, -78, -53, -57, 12, 127, -62, -16, -47, -60, -96, -77, -90, -85, -109, -127, -16,
    -27, -24, -15, 22, 127, 119, 70, -62, -11, -16, 56, 17, 21, -103, -114, -127, -44, -79, -32, 12, 13, 7,
    55, 29, 127, -1, 13, -22
};

static const float mnist_929_int8_multipliers_5[8] = {
    2.22169701e-03f, 1.72694412e-03f, 1.96176139e-03f, 2.22611334e-03f, 1.64283195e-03f, 1.78734073e-03f,
    1.52644597e-03f, 2.55740760e-03f
};

static const int8_t mnist_929_int8_weights_6[40] = {
    -33, -127, -58, 113, 64, 56, -4, -13, -127, 45, -58, 9, -20, -31, -53, -101, 36, 1, -127, 49, -55, 22, 40,
    65, 63, 7, -34, 116, 39, 18, -127, -9, -8, -4, 21, -74, 127, -116, 19, 37
};

static const int32_t mnist_929_int8_biases_6[5] = {
    -895, 4325, -4855, -3917, 2463
};

static const float mnist_929_int8_multipliers_6[5] = {
    1.83406789e-02f, 2.04334110e-02f, 2.36871466e-02f, 1.56472437e-02f, 1.95442885e-02f
};

static const float mnist_929_int8_multipliers_7[9] = {
    2.07246453e-01f, 2.07246453e-01f, 2.07246453e-01f, 2.07246453e-01f, 2.07246453e-01f, 2.07246453e-01f,
    2.07246453e-01f, 2.07246453e-01f, 2.07246453e-01f
};

static const int8_t mnist_929_int8_weights_8[450] = {
    4, -13, 1, 4, -11, -27, 15, -9, -25, -6, -21, 31, -29, 18, 23, -26, 34, -41, 19, 9, 11, -3, 0, -22, 8, 38,
    -36, -18, -21, 61, -66, -32, -8, -10, 22, -40, 20, 19, 21, -74, 26, -127, -39, 61, 15, -110, 28, 86, -127,
    38, 17, -10, 27, -33, 24, 26, -29, -34, 33, -5, -74, 23, 31, 117, -98, 26, -58, -119, -64, -39, -127, 86,
    -24, -24, -77, -30, -67, -23, -11, -2, 93, -62, -3, 11, 31, -10, 17, 93, 46, 67, -54, -36, -59, -105, -55,
    -3, 60, 37, 73, -10, 10, 66, -77, 62, -46, -78, -127, 10, -44, -28, -60, 23, 36, 6, -8, 60, 62, -12, -20,
    -25, -58, -24, 34, -4, 2, 84, 21, 1, -60, 46, 62, 27, 13, 16, 112, -76, -66, -13, -64, -17, -82, -64,
    -107, -127, -55, 40, -21, 21, 12, -2, 75, 36, 32, -57, 17, 71, -115, -1, 56, 36, 16, 28, 26, 54, -56, -17,
    55, -50, 19, -5, -78, -4, 34, -114, 16, -38, 7, 35, 35, -111, -18, 22, 38, 31, 31, 37, -17, -1, 36, 53,
    14, -13, 25, -12, -31, 0, -60, -35, 45, -6, -41, 1, 11, -46, -28, -89, -31, 3, -33, -47, 45, 20, 9, 4,
    -12, 26, -46, -75, -6, -43, 49, -77, 6, -127, -39, 31, 7, 25, -36, -4, -41, -86, -104, -94, 37, -54, -127,
    15, -11, 86, 17, 96, -7, -39, 22, 28, 22, -49, 14, 33, 19, 3, -50, 22, 48, 3, 2, 37, 23, -41, -75, -125,
    44, 81, 64, -41, 92, 28, 31, -94, 43, 3, -26, 25, 15, -28, 6, 0, -50, 15, -17, -28, -2, -8, 8, -25, 9, 10,
    -50, -25, -7, -20, 17, 48, -24, 35, -18, -58, -46, -14, -23, 5, 3, 1, 18, -25, 19, -127, 52, -49, 35, 28,
    -108, 29, -11, -50, -16, 7, -2, -12, 55, -31, 22, 65, 43, 3, 3, -35, 14, -37, 15, -2, -61, 45, 11, -17,
    -77, -4, -15, -51, -88, -67, 26, 39, -36, -1, -24, 12, -12, -17, -4, 23, 35, -3, 37, -40, 55, 36, -127,
    -19, 43, 10, -38, -37, -45, -30, 22, 18, -75, -37, 5, -12, 31, -74, -25, -5, -26, 70, -8, -1, 20, 54, 43,
    17, 18, 32, 7, 12, -21, 9, -10, -14, 10, -18, 18, -55, 15, 12, -40, -127, -31, -61, -116, 25, -7, 22, 22,
    -66, 63, 26, 10, -60, -27, 18, -127, -28, 37, 60, -36, 15, 63, -72, -18, -23, 42, -18, 48, -36, -72, 4,
    -120, -57, 18, 39, 32, 47, 43, -95, 24, -54, -60, 43, -9, -4, -17, -41, -51, 4, -76, -29
};

static const int32_t mnist_929_int8_biases_8[10] = {
    -610, 8765, -1380, -3196, 593, -3330, -726, 2973, 1004, -4447
};

static const float mnist_929_int8_multipliers_8[10] = {
    1.05082896e-03f, 5.72368386e-04f, 5.23404626e-04f, 5.34798543e-04f, 8.69385025e-04f, 4.69065155e-04f,
    1.13165355e-03f, 7.85147422e-04f, 7.55161454e-04f, 5.19938418e-04f
};

/* The value in units of the output's scale, the even one of two that are equally near. */
static uint8_t mnist_929_int8_rescaled(int32_t sum, float multiplier)
{
    const float scaled = (float)sum * multiplier;
    return scaled <= 0.0f ? (uint8_t)0 : scaled >= 255.0f ? (uint8_t)255 : (uint8_t)lrintf(scaled);
}

/* A square convolution, ReLU, and the largest of each pool x pool pixels. */
static void mnist_929_int8_convolution(
    const uint8_t *in, uint8_t *out, const int8_t *weights, const int32_t *biases,
    const float *multipliers, int32_t in_channels, int32_t side, int32_t channels, int32_t kernel, int32_t padding, int32_t pool)
{
    const int32_t out_side = (side + 2 * padding - kernel + 1) / pool;
    for (int32_t channel = 0; channel < channels; channel++) {
        for (int32_t pixel = 0; pixel < out_side * out_side; pixel++) {
            int32_t largest = 0; /* as ReLU lets nothing less pass */
            for (int32_t part = 0; part < pool * pool; part++) {
                const int32_t top = pixel / out_side * pool + part / pool - padding;
                const int32_t left = pixel % out_side * pool + part % pool - padding;
                const int32_t first_row = top < 0 ? -top : 0, rows = side - top < kernel ? side - top : kernel;
                const int32_t first = left < 0 ? -left : 0, columns = side - left < kernel ? side - left : kernel;
                int32_t sum = biases[channel];
                for (int32_t in_channel = 0; in_channel < in_channels; in_channel++) {
                    for (int32_t row = first_row; row < rows; row++) {
                        const int8_t *weight = weights + (in_channel * kernel + row) * kernel;
                        const uint8_t *values = in + (in_channel * side + top + row) * side + left;
                        for (int32_t column = first; column < columns; column++)
                            sum += (int32_t)weight[column] * values[column];
                    }
                }
                largest = sum > largest ? sum : largest;
            }
            *out++ = mnist_929_int8_rescaled(largest, multipliers[channel]);
        }
        weights += in_channels * kernel * kernel;
    }
}

/* The byte that is nearest, the even one of two that are equally near; `zero` stands for 0. */
static uint8_t mnist_929_int8_byte(float scaled, int32_t zero)
{
    return scaled <= (float)-zero ? (uint8_t)0 : scaled >= (float)(255 - zero) ? (uint8_t)255
        : (uint8_t)((int32_t)lrintf(scaled) + zero);
}

/* A square convolution, perhaps depthwise, the sum with `added`, an activation with `slope` below zero, and the
 * largest of each pool x pool pixels. */
static void mnist_929_int8_block(
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
            *out++ = mnist_929_int8_byte(largest, out_zero);
        }
        weights += read * kernel * kernel;
    }
}

/* Means over a grid x grid raster of windows, which overlap where the grid does not divide the side. */
static void mnist_929_int8_average(
    const uint8_t *in, uint8_t *out, const float *multipliers, int32_t channels, int32_t side, int32_t grid)
{
    for (int32_t channel = 0; channel < channels; channel++) {
        for (int32_t window = 0; window < grid * grid; window++) {
            const int32_t i = window / grid, j = window % grid;
            const int32_t top = i * side / grid, bottom = ((i + 1) * side + grid - 1) / grid;
            const int32_t left = j * side / grid, right = ((j + 1) * side + grid - 1) / grid;
            int32_t sum = 0;
            for (int32_t row = top; row < bottom; row++)
                for (int32_t column = left; column < right; column++)
                    sum += in[row * side + column];
            *out++ = mnist_929_int8_rescaled(sum, multipliers[window]);
        }
        in += side * side;
    }
}

static int32_t mnist_929_int8_product(const uint8_t *in, const int8_t *weights, int32_t sum, int32_t length)
{
    for (int32_t i = 0; i < length; i++)
        sum += (int32_t)weights[i] * in[i];
    return sum;
}

void mnist_929_int8_classify(const uint8_t *image, float *scores, uint8_t *arena)
{
    /* conv 3x3 1-8 */
    mnist_929_int8_convolution(image, arena, mnist_929_int8_weights_0, mnist_929_int8_biases_0, mnist_929_int8_multipliers_0, 1, 28, 8, 3, 0, 1);
    /* depthwise 5x5 8 */
    mnist_929_int8_block(arena, arena + 5408, mnist_929_int8_weights_1, 0, mnist_929_int8_multipliers_1, 0, 0.0f, 0, 0, 140, 1.00000000e+00f, 1, 1, 8, 26, 8, 5, 0, 1);
    /* conv 1x1 8-8 */
    mnist_929_int8_block(arena + 5408, arena, mnist_929_int8_weights_2, mnist_929_int8_biases_2, mnist_929_int8_multipliers_2, 0, 0.0f, 0, 140, 0, 0.00000000e+00f, 0, 1, 8, 22, 8, 1, 0, 1);
    /* depthwise 5x5 8, the same weights */
    mnist_929_int8_block(arena, arena + 6688, mnist_929_int8_weights_1, 0, mnist_929_int8_multipliers_3, 0, 0.0f, 0, 0, 116, 1.00000000e+00f, 1, 1, 8, 22, 8, 5, 0, 1);
    /* conv 1x1 8-8, the same weights, max pooling 2x2 */
    mnist_929_int8_block(arena + 6688, arena, mnist_929_int8_weights_4, mnist_929_int8_biases_4, mnist_929_int8_multipliers_4, 0, 0.0f, 0, 116, 0, 0.00000000e+00f, 0, 1, 8, 18, 8, 1, 0, 2);
    /* depthwise 3x3 8 */
    mnist_929_int8_block(arena, arena + 8632, mnist_929_int8_weights_5, 0, mnist_929_int8_multipliers_5, 0, 0.0f, 0, 0, 134, 1.00000000e+00f, 1, 1, 8, 9, 8, 3, 1, 1);
    /* conv 1x1 8-5 */
    mnist_929_int8_block(arena + 8632, arena, mnist_929_int8_weights_6, mnist_929_int8_biases_6, mnist_929_int8_multipliers_6, 0, 0.0f, 0, 134, 0, 0.00000000e+00f, 0, 1, 8, 9, 5, 1, 0, 1);
    /* average pooling to 3x3 */
    mnist_929_int8_average(arena, arena + 9235, mnist_929_int8_multipliers_7, 5, 9, 3);
    /* linear 45-10 */
    for (int32_t unit = 0; unit < 10; unit++) {
        const int32_t sum = mnist_929_int8_product(arena + 9235, mnist_929_int8_weights_8 + unit * 45, mnist_929_int8_biases_8[unit], 45);
        scores[unit] = (float)sum * mnist_929_int8_multipliers_8[unit];
    }
}

#ifdef MNIST_929_INT8_MAIN
#include <math.h>
#include <stdio.h>

/* The scores of an image of stripes, as PyTorch has them, in the same 8 bits. */
static const float expected[10] = {
    -5.95925093e+00f, -1.78201180e+01f, -1.74780502e+01f, -1.57883224e+01f, -9.72146320e+00f,
    -9.38317966e+00f, -9.25013638e+00f, -1.65603294e+01f, -3.94043255e+00f, -1.96666698e+01f
};

int main(void)
{
    static uint8_t image[784], arena[MNIST_929_INT8_ARENA];
    float scores[10], largest = 0.0f;
    for (int32_t i = 0; i < 784; i++)
        image[i] = (uint8_t)(37 * i % 256);
    mnist_929_int8_classify(image, scores, arena);
    for (int32_t i = 0; i < 10; i++) {
        const float difference = fabsf(scores[i] - expected[i]);
        largest = difference > largest ? difference : largest;
        printf("%.9g\n", (double)scores[i]);
    }
    return largest <= 0.0f ? 0 : 1;
}
#endif
