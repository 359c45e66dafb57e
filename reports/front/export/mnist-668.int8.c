/* 7vbn-7k5svbx2-3sb-pool3, 8 bits. Written by search.export.
 * Compiled with -DMNIST_668_INT8_MAIN it is a program that tests itself. */
#include "mnist-668.int8.h"

#include <math.h>

static const int8_t mnist_668_int8_weights_0[63] = {
    -31, 34, 15, 20, -127, -79, 76, 40, 93, -95, -13, 39, -16, 127, -26, 15, 35, -52, 50, -25, -90, 127, -110,
    -56, -47, -100, -51, 6, 62, -44, 76, -64, -127, -64, -116, 105, -70, -30, -88, 89, -41, -67, -33, -96,
    -127, 104, -42, -17, 90, -127, -25, 77, 26, 10, -76, 65, 127, 109, -34, -53, -9, -27, 63
};

static const int32_t mnist_668_int8_biases_0[7] = {
    -10681, -2545, 25903, 8505, -24883, -372, -23162
};

static const float mnist_668_int8_multipliers_0[7] = {
    4.89736442e-03f, 4.91217989e-03f, 1.59139605e-03f, 2.57277302e-03f, 1.28539209e-03f, 3.27099068e-03f,
    3.24820052e-03f
};

static const int8_t mnist_668_int8_weights_1[175] = {
    20, -21, -9, -49, -86, 115, 16, -44, -21, -70, 105, 2, 29, -25, -107, 66, 127, 55, 35, -88, 5, 0, 114, 1,
    -31, 127, 19, 59, 65, 117, -22, 92, 29, 85, 117, -20, 31, 21, 47, -65, -59, -9, 17, -58, 17, 31, -19, -57,
    -28, -34, -29, 73, -11, -3, 53, -58, -57, -49, 26, -1, 6, -102, -49, -60, -10, -14, 7, -41, -73, -62,
    -127, -43, -46, 14, 0, -73, 34, -55, -62, -17, 9, 23, -12, 0, -34, 10, 37, 58, 107, 0, -11, 48, 127, 70,
    33, -45, -33, -48, 96, 47, 84, 41, 43, 83, 67, -20, 25, 60, -2, 5, -79, -27, -18, 15, -19, -54, -25, -79,
    -28, -63, -73, -37, -88, -127, -85, 29, 31, -63, -16, -47, 60, 29, -34, -40, -10, 127, -65, 1, -50, -58,
    33, -19, -65, -23, -55, -55, -21, 8, 12, -1, -70, 11, 52, 46, 9, -29, -42, -22, -25, -100, -30, -93, -127,
    -90, -10, -102, -49, -87, -14, 8, -63, 32, 82, 93, 31
};

static const float mnist_668_int8_multipliers_1[7] = {
    1.63370196e-03f, 1.47451600e-03f, 1.72512489e-03f, 2.43148627e-03f, 2.18689046e-03f, 1.89555739e-03f,
    1.72976835e-03f
};

static const int8_t mnist_668_int8_weights_2[49] = {
    36, 21, 31, 127, 39, 22, -67, 0, 66, -6, -13, -127, -3, -16, -114, 127, -80, -99, 79, -69, 53, -13, 31,
    -21, 58, 127, 17, 107, 9, -20, -37, 4, -16, -127, 0, 48, -57, -127, 41, 23, 9, -25, -124, 20, 47, -127,
    80, -27, 42
};

static const int32_t mnist_668_int8_biases_2[7] = {
    -864, -59, 2667, -2067, -4597, -4294, 2705
};

static const float mnist_668_int8_multipliers_2[7] = {
    1.68827605e-02f, 2.35902797e-02f, 1.02826748e-02f, 1.68975461e-02f, 1.07883606e-02f, 1.15329996e-02f,
    1.14296330e-02f
};

static const float mnist_668_int8_multipliers_3[7] = {
    1.32732268e-03f, 1.19799003e-03f, 1.40160066e-03f, 1.97549304e-03f, 1.77676813e-03f, 1.54007075e-03f,
    1.40537333e-03f
};

static const int8_t mnist_668_int8_weights_4[49] = {
    36, 21, 31, 127, 39, 22, -67, 0, 66, -6, -13, -127, -3, -16, -114, 127, -80, -99, 79, -69, 53, -13, 31,
    -21, 58, 127, 17, 107, 9, -20, -37, 4, -16, -127, 0, 48, -57, -127, 41, 23, 9, -25, -124, 20, 47, -127,
    80, -27, 42
};

static const int32_t mnist_668_int8_biases_4[7] = {
    987, -1142, 1151, -1111, -3602, -6526, 3331
};

static const float mnist_668_int8_multipliers_4[7] = {
    3.10984086e-02f, 1.60964541e-02f, 1.01427455e-02f, 1.44496681e-02f, 2.76973397e-02f, 1.32828197e-02f,
    1.49289146e-02f
};

static const int8_t mnist_668_int8_weights_5[63] = {
    23, -76, 127, -9, 73, 49, 42, -11, 38, 71, -67, 40, -36, -127, -6, -28, 78, -38, 12, -43, -16, 10, 17,
    -105, -73, -127, 43, 50, 60, 59, -25, 74, -1, 33, 127, -2, -26, -10, -27, 108, 69, 99, 17, -5, -127, 39,
    -51, 127, 116, -20, 17, 75, 26, -12, -114, 35, 79, 38, 72, -11, 127, -12, -42
};

static const float mnist_668_int8_multipliers_5[7] = {
    2.54036137e-03f, 2.70578708e-03f, 2.40169396e-03f, 3.55143938e-03f, 2.74541182e-03f, 2.35417834e-03f,
    2.86100223e-03f
};

static const int8_t mnist_668_int8_weights_6[21] = {
    -92, -41, 7, 68, 127, -72, -61, 48, 112, -10, 97, -18, -9, 127, 24, -23, -127, -95, -10, -72, -58
};

static const int32_t mnist_668_int8_biases_6[3] = {
    3105, -432, -2816
};

static const float mnist_668_int8_multipliers_6[3] = {
    2.14272477e-02f, 1.95223186e-02f, 1.91165227e-02f
};

static const float mnist_668_int8_multipliers_7[9] = {
    1.84054509e-01f, 1.84054509e-01f, 1.84054509e-01f, 1.84054509e-01f, 1.84054509e-01f, 1.84054509e-01f,
    1.84054509e-01f, 1.84054509e-01f, 1.84054509e-01f
};

static const int8_t mnist_668_int8_weights_8[270] = {
    19, -45, -84, 56, 46, 45, -19, -127, 35, -58, -3, -103, -92, -20, 3, -55, -4, 97, -9, -8, -27, 48, -32,
    -41, 23, -54, 23, -20, 118, 7, 64, 127, -3, 96, -8, -91, -51, -13, -81, 65, -96, -47, 18, -31, 14, -75,
    12, 31, -82, 8, -35, -47, -46, -27, 33, -28, 64, 31, -12, -7, 47, -127, -80, 31, 19, -104, 16, -7, 41, -7,
    -6, 8, -11, -6, -83, -41, -80, 59, 75, 31, 53, -60, -25, 18, 65, -127, -7, -37, -11, 40, 58, 27, -21, 7,
    51, -27, 3, 33, -19, 1, 1, -8, -45, 46, -10, -43, -46, -109, 19, 82, 30, -127, -34, -2, 2, 37, -44, -71,
    -73, -105, 19, -24, -23, 0, -6, -23, -71, -14, 32, 26, -3, 43, -39, 12, 95, 21, -37, -109, -17, -22, -2,
    -45, 10, 64, -65, -15, 127, 2, 25, -16, 35, 7, -18, 15, 5, 78, -26, 6, -111, -42, -104, -121, 127, 35,
    -23, -4, -62, -49, -30, -93, 30, -70, -6, 88, -87, -39, 14, -32, 8, 29, 29, 6, 27, 25, 13, -75, 12, 18,
    -28, -127, -55, 40, 61, 84, -48, 76, 82, -50, 11, 29, -17, 39, -6, -58, 39, -54, -24, -94, -36, -18, -54,
    -22, 33, -34, 24, 127, -58, -97, -21, -111, -113, -5, -21, -93, 53, 8, -46, -9, -33, -40, 77, -59, -15,
    -11, 63, 16, -20, -3, 12, 41, 30, 51, -127, -40, -111, -21, -127, 30, 58, -69, 117, -5, 0, -5, -59, -25,
    38, -56, 21, 17, -101, 63, 15, -68, 29, 26, -39, -51, 9, -16
};

static const int32_t mnist_668_int8_biases_8[10] = {
    6127, 2882, -918, -6144, 2877, 4614, -5933, -3500, 7712, -3673
};

static const float mnist_668_int8_multipliers_8[10] = {
    6.30169117e-04f, 5.43919799e-04f, 6.54867967e-04f, 8.17139749e-04f, 7.49724742e-04f, 6.43974287e-04f,
    8.00431531e-04f, 6.20054721e-04f, 5.84449968e-04f, 6.14407996e-04f
};

/* The value in units of the output's scale, the even one of two that are equally near. */
static uint8_t mnist_668_int8_rescaled(int32_t sum, float multiplier)
{
    const float scaled = (float)sum * multiplier;
    return scaled <= 0.0f ? (uint8_t)0 : scaled >= 255.0f ? (uint8_t)255 : (uint8_t)lrintf(scaled);
}

/* A square convolution, ReLU, and the largest of each pool x pool pixels. */
static void mnist_668_int8_convolution(
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
            *out++ = mnist_668_int8_rescaled(largest, multipliers[channel]);
        }
        weights += in_channels * kernel * kernel;
    }
}

/* The byte that is nearest, the even one of two that are equally near; `zero` stands for 0. */
static uint8_t mnist_668_int8_byte(float scaled, int32_t zero)
{
    return scaled <= (float)-zero ? (uint8_t)0 : scaled >= (float)(255 - zero) ? (uint8_t)255
        : (uint8_t)((int32_t)lrintf(scaled) + zero);
}

/* A square convolution, perhaps depthwise, the sum with `added`, an activation with `slope` below zero, and the
 * largest of each pool x pool pixels. */
static void mnist_668_int8_block(
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
            *out++ = mnist_668_int8_byte(largest, out_zero);
        }
        weights += read * kernel * kernel;
    }
}

/* Means over a grid x grid raster of windows, which overlap where the grid does not divide the side. */
static void mnist_668_int8_average(
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
            *out++ = mnist_668_int8_rescaled(sum, multipliers[window]);
        }
        in += side * side;
    }
}

static int32_t mnist_668_int8_product(const uint8_t *in, const int8_t *weights, int32_t sum, int32_t length)
{
    for (int32_t i = 0; i < length; i++)
        sum += (int32_t)weights[i] * in[i];
    return sum;
}

void mnist_668_int8_classify(const uint8_t *image, float *scores, uint8_t *arena)
{
    /* conv 3x3 1-7 */
    mnist_668_int8_convolution(image, arena, mnist_668_int8_weights_0, mnist_668_int8_biases_0, mnist_668_int8_multipliers_0, 1, 28, 7, 3, 0, 1);
    /* depthwise 5x5 7 */
    mnist_668_int8_block(arena, arena + 4732, mnist_668_int8_weights_1, 0, mnist_668_int8_multipliers_1, 0, 0.0f, 0, 0, 135, 1.00000000e+00f, 1, 1, 7, 26, 7, 5, 0, 1);
    /* conv 1x1 7-7 */
    mnist_668_int8_block(arena + 4732, arena, mnist_668_int8_weights_2, mnist_668_int8_biases_2, mnist_668_int8_multipliers_2, 0, 0.0f, 0, 135, 0, 0.00000000e+00f, 0, 1, 7, 22, 7, 1, 0, 1);
    /* depthwise 5x5 7, the same weights */
    mnist_668_int8_block(arena, arena + 5852, mnist_668_int8_weights_1, 0, mnist_668_int8_multipliers_3, 0, 0.0f, 0, 0, 146, 1.00000000e+00f, 1, 1, 7, 22, 7, 5, 0, 1);
    /* conv 1x1 7-7, the same weights, max pooling 2x2 */
    mnist_668_int8_block(arena + 5852, arena, mnist_668_int8_weights_4, mnist_668_int8_biases_4, mnist_668_int8_multipliers_4, 0, 0.0f, 0, 146, 0, 0.00000000e+00f, 0, 1, 7, 18, 7, 1, 0, 2);
    /* depthwise 3x3 7 */
    mnist_668_int8_block(arena, arena + 7553, mnist_668_int8_weights_5, 0, mnist_668_int8_multipliers_5, 0, 0.0f, 0, 0, 148, 1.00000000e+00f, 1, 1, 7, 9, 7, 3, 1, 1);
    /* conv 1x1 7-3 */
    mnist_668_int8_block(arena + 7553, arena, mnist_668_int8_weights_6, mnist_668_int8_biases_6, mnist_668_int8_multipliers_6, 0, 0.0f, 0, 148, 0, 0.00000000e+00f, 0, 1, 7, 9, 3, 1, 0, 1);
    /* average pooling to 3x3 */
    mnist_668_int8_average(arena, arena + 8093, mnist_668_int8_multipliers_7, 3, 9, 3);
    /* linear 27-10 */
    for (int32_t unit = 0; unit < 10; unit++) {
        const int32_t sum = mnist_668_int8_product(arena + 8093, mnist_668_int8_weights_8 + unit * 27, mnist_668_int8_biases_8[unit], 27);
        scores[unit] = (float)sum * mnist_668_int8_multipliers_8[unit];
    }
}

#ifdef MNIST_668_INT8_MAIN
#include <math.h>
#include <stdio.h>

/* The scores of an image of stripes, as PyTorch has them, in the same 8 bits. */
static const float expected[10] = {
    -1.23324096e+00f, -3.29941750e+00f, -5.42492628e+00f, -1.72081451e+01f, 3.29878879e+00f, -1.12592468e+01f,
    -3.15370035e+00f, -8.16736126e+00f, -3.79775596e+00f, -7.13389111e+00f
};

int main(void)
{
    static uint8_t image[784], arena[MNIST_668_INT8_ARENA];
    float scores[10], largest = 0.0f;
    for (int32_t i = 0; i < 784; i++)
        image[i] = (uint8_t)(37 * i % 256);
    mnist_668_int8_classify(image, scores, arena);
    for (int32_t i = 0; i < 10; i++) {
        const float difference = fabsf(scores[i] - expected[i]);
        largest = difference > largest ? difference : largest;
        printf("%.9g\n", (double)scores[i]);
    }
    return largest <= 0.0f ? 0 : 1;
}
#endif
