/* 4vbn-4vbx2n-2svbd-3svb-pool3, 8 bits. Written by search.export.
 * Compiled with -DMNIST_541_INT8_MAIN it is a program that tests itself. */
#include "mnist-541.int8.h"

#include <math.h>

static const int8_t mnist_541_int8_weights_0[36] = {
    4, -124, -71, -10, -61, 1, 127, 80, 102, -45, -7, 20, 38, -69, 127, 21, 5, -30, -10, 42, -98, 127, 23,
    -66, 40, 43, 1, 63, 57, -27, 59, -11, -127, -25, -90, -14
};

static const int32_t mnist_541_int8_biases_0[4] = {
    186, 10198, 1578, 5307
};

static const float mnist_541_int8_multipliers_0[4] = {
    1.98524841e-03f, 4.95149847e-03f, 2.43364507e-03f, 2.11002515e-03f
};

static const int8_t mnist_541_int8_weights_1[144] = {
    -1, 37, -123, 107, -13, -35, 36, 31, 33, -61, -18, -71, 68, -81, -53, 60, 25, 4, 57, 40, 42, -68, 21,
    -127, -58, -22, -35, 98, -9, 81, -54, 28, -104, 77, 47, -46, -7, 41, 49, -24, -6, 6, -65, -65, -38, 15,
    45, -18, -4, -23, 9, -14, -22, -8, -14, -4, 5, -55, -64, 13, 127, 70, 79, -46, -3, -1, 32, 10, -6, 23, 23,
    -10, -53, 28, -32, -84, -64, -43, 70, -18, -25, 27, 5, 33, -8, 31, 9, 30, -59, -63, -20, 57, 8, -59, 42,
    5, 30, -79, -127, 65, 48, -12, -61, -50, 26, -57, -110, 40, -18, -22, 51, 54, -23, 39, 5, 56, 7, -55, -1,
    35, -43, -20, -14, -3, -8, -30, -4, 51, 72, 26, 36, 127, 19, 22, -90, -4, 13, -47, -22, -15, 13, -3, 0, 28
};

static const int32_t mnist_541_int8_biases_1[4] = {
    7892, -218, 1501, 2997
};

static const float mnist_541_int8_multipliers_1[4] = {
    6.21581357e-03f, 9.49000753e-03f, 5.13600139e-03f, 6.85599679e-03f
};

static const int8_t mnist_541_int8_weights_2[144] = {
    -1, 37, -123, 107, -13, -35, 36, 31, 33, -61, -18, -71, 68, -81, -53, 60, 25, 4, 57, 40, 42, -68, 21,
    -127, -58, -22, -35, 98, -9, 81, -54, 28, -104, 77, 47, -46, -7, 41, 49, -24, -6, 6, -65, -65, -38, 15,
    45, -18, -4, -23, 9, -14, -22, -8, -14, -4, 5, -55, -64, 13, 127, 70, 79, -46, -3, -1, 32, 10, -6, 23, 23,
    -10, -53, 28, -32, -84, -64, -43, 70, -18, -25, 27, 5, 33, -8, 31, 9, 30, -59, -63, -20, 57, 8, -59, 42,
    5, 30, -79, -127, 65, 48, -12, -61, -50, 26, -57, -110, 40, -18, -22, 51, 54, -23, 39, 5, 56, 7, -55, -1,
    35, -43, -20, -14, -3, -8, -30, -4, 51, 72, 26, 36, 127, 19, 22, -90, -4, 13, -47, -22, -15, 13, -3, 0, 28
};

static const int32_t mnist_541_int8_biases_2[4] = {
    -1599, 1813, 1835, 1185
};

static const float mnist_541_int8_multipliers_2[4] = {
    4.32074396e-03f, 8.97329301e-03f, 4.22358885e-03f, 6.15053065e-03f
};

static const int8_t mnist_541_int8_weights_3[36] = {
    16, 50, -83, -105, -30, -60, -110, -125, -127, -32, -40, -110, -127, -92, -58, -90, -72, 14, 93, 99, 24,
    102, 107, 127, 56, 85, 95, -5, 0, 26, 3, 12, 65, -23, 70, 127
};

static const float mnist_541_int8_multipliers_3[4] = {
    1.47075043e-03f, 1.78117992e-03f, 2.02549086e-03f, 3.26463906e-03f
};

static const int8_t mnist_541_int8_weights_4[8] = {
    33, 3, 127, -76, 97, -127, 6, 114
};

static const int32_t mnist_541_int8_biases_4[2] = {
    2888, -1039
};

static const float mnist_541_int8_multipliers_4[2] = {
    1.65218115e-02f, 1.32024763e-02f
};

static const int8_t mnist_541_int8_weights_5[18] = {
    127, 17, 35, 55, -9, 107, -5, -27, 21, 76, -16, -79, 55, -25, -127, -103, -51, -46
};

static const float mnist_541_int8_multipliers_5[2] = {
    2.60666362e-03f, 1.82577176e-03f
};

static const int8_t mnist_541_int8_weights_6[6] = {
    127, -99, 59, 127, -127, -23
};

static const int32_t mnist_541_int8_biases_6[3] = {
    -3066, 922, 3260
};

static const float mnist_541_int8_multipliers_6[3] = {
    1.42039666e-02f, 1.77589878e-02f, 1.67374555e-02f
};

static const float mnist_541_int8_multipliers_7[9] = {
    2.17469290e-01f, 1.63101971e-01f, 2.17469290e-01f, 1.63101971e-01f, 1.22326486e-01f, 1.63101971e-01f,
    2.17469290e-01f, 1.63101971e-01f, 2.17469290e-01f
};

static const int8_t mnist_541_int8_weights_8[270] = {
    -16, -9, 26, -12, 10, -24, 19, -21, -17, 7, 19, -22, 31, 4, 46, 19, -68, -37, 18, -1, 13, -105, 93, -40,
    -61, 64, -127, 23, -60, -35, -30, -59, -19, -29, 14, 12, -1, -18, 10, 11, 85, -31, 16, -5, -49, -24, -101,
    -4, 19, 9, 1, 127, -15, 37, 7, 37, -6, -47, -59, -32, -31, 62, 64, -35, 38, 23, 17, 42, 15, -127, -22,
    -66, 69, 46, 54, 95, -19, -3, -122, 101, 41, 53, 2, -32, -58, 88, 31, -15, -20, -42, -5, 36, 51, -57, -84,
    -51, -68, -16, 65, 110, -51, -8, 84, -4, 40, 81, -127, 59, -23, -57, -28, 32, 14, -12, -14, -1, 24, 26,
    12, -15, -3, 3, -4, 2, 38, -21, -28, -44, -33, -14, 66, -127, -37, 42, -11, -24, 14, 26, 26, -3, 33, 5,
    -3, -63, -8, -88, -120, 2, -5, -42, -31, -21, 83, -127, 34, -102, 85, -47, 122, 82, -62, 104, -23, -58,
    20, -32, -31, 17, 27, 26, -10, 17, -47, -51, 3, -38, 62, 35, -63, 10, -77, -64, -13, -90, -18, 127, -60,
    12, -50, 20, 7, -49, 9, -34, 21, -27, -37, 1, 5, 50, 47, -5, -47, 10, 13, 42, -45, 52, 103, 31, 16, -18,
    16, 7, -13, -127, -13, 22, 16, 3, 16, 14, 0, 56, -27, -27, -76, 17, 51, 39, -75, 30, -42, 29, -50, -87,
    -22, -75, -127, -102, -50, -5, 27, -41, 37, 12, 37, 8, -53, 24, -59, 25, -22, 3, -13, -74, 11, 6, -29, 41,
    13, -42, -9, 47, -127, -46, -98, -47, -36, 112
};

static const int32_t mnist_541_int8_biases_8[10] = {
    533, 6222, -7926, -7014, 2577, 2611, 5682, -1644, -3549, -748
};

static const float mnist_541_int8_multipliers_8[10] = {
    1.29240879e-03f, 9.59848694e-04f, 5.90598269e-04f, 6.92514994e-04f, 1.38398306e-03f, 7.25572463e-04f,
    1.17343187e-03f, 1.13563531e-03f, 6.57498196e-04f, 9.39522288e-04f
};

/* The value in units of the output's scale, the even one of two that are equally near. */
static uint8_t mnist_541_int8_rescaled(int32_t sum, float multiplier)
{
    const float scaled = (float)sum * multiplier;
    return scaled <= 0.0f ? (uint8_t)0 : scaled >= 255.0f ? (uint8_t)255 : (uint8_t)lrintf(scaled);
}

/* A square convolution, ReLU, and the largest of each pool x pool pixels. */
static void mnist_541_int8_convolution(
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
            *out++ = mnist_541_int8_rescaled(largest, multipliers[channel]);
        }
        weights += in_channels * kernel * kernel;
    }
}

/* The byte that is nearest, the even one of two that are equally near; `zero` stands for 0. */
static uint8_t mnist_541_int8_byte(float scaled, int32_t zero)
{
    return scaled <= (float)-zero ? (uint8_t)0 : scaled >= (float)(255 - zero) ? (uint8_t)255
        : (uint8_t)((int32_t)lrintf(scaled) + zero);
}

/* A square convolution, perhaps depthwise, the sum with `added`, an activation with `slope` below zero, and the
 * largest of each pool x pool pixels. */
static void mnist_541_int8_block(
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
            *out++ = mnist_541_int8_byte(largest, out_zero);
        }
        weights += read * kernel * kernel;
    }
}

/* Means over a grid x grid raster of windows, which overlap where the grid does not divide the side. */
static void mnist_541_int8_average(
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
            *out++ = mnist_541_int8_rescaled(sum, multipliers[window]);
        }
        in += side * side;
    }
}

static int32_t mnist_541_int8_product(const uint8_t *in, const int8_t *weights, int32_t sum, int32_t length)
{
    for (int32_t i = 0; i < length; i++)
        sum += (int32_t)weights[i] * in[i];
    return sum;
}

void mnist_541_int8_classify(const uint8_t *image, float *scores, uint8_t *arena)
{
    /* conv 3x3 1-4 */
    mnist_541_int8_convolution(image, arena, mnist_541_int8_weights_0, mnist_541_int8_biases_0, mnist_541_int8_multipliers_0, 1, 28, 4, 3, 0, 1);
    /* conv 3x3 4-4 */
    mnist_541_int8_convolution(arena, arena + 2704, mnist_541_int8_weights_1, mnist_541_int8_biases_1, mnist_541_int8_multipliers_1, 4, 26, 4, 3, 0, 1);
    /* conv 3x3 4-4, the same weights */
    mnist_541_int8_convolution(arena + 2704, arena, mnist_541_int8_weights_2, mnist_541_int8_biases_2, mnist_541_int8_multipliers_2, 4, 24, 4, 3, 0, 1);
    /* depthwise 3x3 4, stride 2 */
    mnist_541_int8_block(arena, arena + 4608, mnist_541_int8_weights_3, 0, mnist_541_int8_multipliers_3, 0, 0.0f, 0, 0, 155, 1.00000000e+00f, 1, 2, 4, 22, 4, 3, 0, 1);
    /* conv 1x1 4-2 */
    mnist_541_int8_block(arena + 4608, arena, mnist_541_int8_weights_4, mnist_541_int8_biases_4, mnist_541_int8_multipliers_4, 0, 0.0f, 0, 155, 0, 0.00000000e+00f, 0, 1, 4, 10, 2, 1, 0, 1);
    /* depthwise 3x3 2 */
    mnist_541_int8_block(arena, arena + 4880, mnist_541_int8_weights_5, 0, mnist_541_int8_multipliers_5, 0, 0.0f, 0, 0, 104, 1.00000000e+00f, 1, 1, 2, 10, 2, 3, 0, 1);
    /* conv 1x1 2-3 */
    mnist_541_int8_block(arena + 4880, arena, mnist_541_int8_weights_6, mnist_541_int8_biases_6, mnist_541_int8_multipliers_6, 0, 0.0f, 0, 104, 0, 0.00000000e+00f, 0, 1, 2, 8, 3, 1, 0, 1);
    /* average pooling to 3x3 */
    mnist_541_int8_average(arena, arena + 4981, mnist_541_int8_multipliers_7, 3, 8, 3);
    /* linear 27-10 */
    for (int32_t unit = 0; unit < 10; unit++) {
        const int32_t sum = mnist_541_int8_product(arena + 4981, mnist_541_int8_weights_8 + unit * 27, mnist_541_int8_biases_8[unit], 27);
        scores[unit] = (float)sum * mnist_541_int8_multipliers_8[unit];
    }
}

#ifdef MNIST_541_INT8_MAIN
#include <math.h>
#include <stdio.h>

/* The scores of an image of stripes, as PyTorch has them, in the same 8 bits. */
static const float expected[10] = {
    -2.85105371e+00f, -4.00064945e+00f, -1.11321869e+01f, -1.26785641e+01f, 2.39429069e+00f, -1.38156252e+01f,
    -7.04528475e+00f, -7.17721522e-01f, -2.34726858e+00f, -6.23936749e+00f
};

int main(void)
{
    static uint8_t image[784], arena[MNIST_541_INT8_ARENA];
    float scores[10], largest = 0.0f;
    for (int32_t i = 0; i < 784; i++)
        image[i] = (uint8_t)(37 * i % 256);
    mnist_541_int8_classify(image, scores, arena);
    for (int32_t i = 0; i < 10; i++) {
        const float difference = fabsf(scores[i] - expected[i]);
        largest = difference > largest ? difference : largest;
        printf("%.9g\n", (double)scores[i]);
    }
    return largest <= 0.0f ? 0 : 1;
}
#endif
