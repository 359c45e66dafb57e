/* 4vbln-6svbl-6svbln-6svblp-pool2, 8 bits. Written by search.export.
 * Compiled with -DMNIST_548_INT8_MAIN it is a program that tests itself. */
#include "mnist-548.int8.h"

#include <math.h>

static const int8_t mnist_548_int8_weights_0[36] = {
    7, -125, 58, -30, -67, 127, -31, 43, 31, -127, -53, 79, -110, 34, 64, -55, -60, -18, 14, -28, -42, 28,
    127, -19, -71, -12, 57, 71, 66, 127, 29, 85, 29, 47, -47, -25
};

static const int32_t mnist_548_int8_biases_0[4] = {
    4656, 15112, -7646, 53762
};

static const float mnist_548_int8_multipliers_0[4] = {
    2.96677998e-03f, 1.73561694e-03f, 5.51024452e-03f, 1.34448928e-03f
};

static const int8_t mnist_548_int8_weights_1[36] = {
    -47, -84, -94, -15, -44, 39, 3, -64, -127, 11, 34, 111, 127, 43, 55, 103, 46, 50, -21, 12, -127, -16,
    -107, -40, -31, -32, -11, 115, 52, -37, -1, 33, 22, 81, 127, 11
};

static const float mnist_548_int8_multipliers_1[4] = {
    2.16990896e-03f, 2.81530176e-03f, 2.36585666e-03f, 1.66708510e-03f
};

static const int8_t mnist_548_int8_weights_2[24] = {
    127, 108, -126, 82, -106, 127, 24, 91, -127, -125, 13, 121, -127, -99, 52, 52, 17, 127, -12, 17, 33, -70,
    -127, -47
};

static const int32_t mnist_548_int8_biases_2[6] = {
    -5010, -8926, -1652, 2273, -6220, 8947
};

static const float mnist_548_int8_multipliers_2[6] = {
    1.31559726e-02f, 1.07217832e-02f, 6.31778268e-03f, 1.07841725e-02f, 1.50446976e-02f, 1.68723743e-02f
};

static const int8_t mnist_548_int8_weights_3[54] = {
    127, 48, 118, -43, 117, -60, -115, -10, 55, 5, 46, 36, -73, -96, -127, 31, 43, 30, 71, 59, 43, -127, -108,
    -124, 57, 69, 45, 16, -19, -123, 30, 57, -116, 4, 84, 127, 38, 46, 84, 46, -25, -90, -127, 33, 6, 1, 39,
    127, -10, 72, -3, 31, 36, 46
};

static const float mnist_548_int8_multipliers_3[6] = {
    1.88410352e-03f, 3.35412310e-03f, 2.77282065e-03f, 2.64411210e-03f, 4.06845752e-03f, 2.56110332e-03f
};

static const int8_t mnist_548_int8_weights_4[36] = {
    -22, 76, -127, -62, 91, 44, 8, 103, 127, -48, 108, -4, -1, -38, 69, 41, 127, 16, -127, -23, 120, 115, -33,
    47, -101, -2, 113, 16, 5, 127, 57, 89, -7, -127, 82, 88
};

static const int32_t mnist_548_int8_biases_4[6] = {
    1029, 2314, -952, -2766, -6954, 232
};

static const float mnist_548_int8_multipliers_4[6] = {
    1.70286577e-02f, 1.72670968e-02f, 2.88384315e-02f, 1.11831008e-02f, 1.41388066e-02f, 1.14133889e-02f
};

static const int8_t mnist_548_int8_weights_5[54] = {
    64, -9, 63, 48, -22, 42, -127, 6, -6, -69, 0, -114, -19, -127, -38, -74, -30, 12, -39, 87, 99, 115, -33,
    -127, -76, -120, -122, 43, 60, 29, 82, 67, -121, -9, -114, -127, -3, -82, -127, -85, -68, 15, -32, 64, 65,
    -21, -18, -125, 47, -21, 28, 61, 116, 127
};

static const float mnist_548_int8_multipliers_5[6] = {
    3.11691989e-03f, 3.56703368e-03f, 1.68868515e-03f, 2.42484850e-03f, 2.54312833e-03f, 2.04486446e-03f
};

static const int8_t mnist_548_int8_weights_6[36] = {
    41, -15, -60, 39, -127, -56, 36, -16, 29, 72, 62, 127, -5, -127, -1, 2, 18, 32, 127, 113, 64, -2, -6, -50,
    -58, 30, -127, 87, 37, -12, -25, 111, 2, -127, -7, 36
};

static const int32_t mnist_548_int8_biases_6[6] = {
    -981, -3556, -403, -46, -964, -1750
};

static const float mnist_548_int8_multipliers_6[6] = {
    1.28615936e-02f, 1.19149769e-02f, 1.80342607e-02f, 1.40170809e-02f, 1.73297431e-02f, 1.43149449e-02f
};

static const float mnist_548_int8_multipliers_7[4] = {
    3.38265270e-01f, 3.38265270e-01f, 3.38265270e-01f, 3.38265270e-01f
};

static const int8_t mnist_548_int8_weights_8[240] = {
    -4, 24, 19, -31, -2, 18, 6, 35, -29, -21, -24, -16, 13, -13, -83, -79, -31, 27, -35, 22, -41, -29, 39,
    -127, -49, -49, -62, -62, 35, -52, -13, 9, -12, -15, -8, 26, -32, -1, -14, -22, 24, -26, 8, 12, -127, -18,
    -49, 56, 42, -24, 33, -9, -79, -39, -74, 106, 58, -66, 16, 7, 31, -18, -16, -19, 12, 33, -80, -48, -127,
    -39, 61, 122, 25, -4, 28, 105, -7, -71, -4, -87, 64, -45, 26, -28, 90, -30, -127, -112, 41, -34, 68, -22,
    -119, 61, -77, -96, -70, -84, 0, -127, 4, 33, 8, 31, -52, -62, 19, 5, -112, -18, 97, 107, -2, 16, -6, -3,
    82, 42, 13, 24, -13, 4, 12, 23, -19, 55, 31, -72, -28, 90, 7, -48, -82, -1, -79, -75, 4, -57, 57, 4, 1,
    -10, -31, -127, -102, -19, -31, 65, -94, -44, 98, 41, -113, 112, -109, -5, -127, 25, -109, -96, -67, 20,
    -32, 10, 67, 59, 34, -63, 25, -22, -44, -59, 34, 43, -60, 27, 3, -25, 21, -5, 4, 72, 39, 87, 6, -16, 2,
    -53, -127, -15, -84, -27, 15, 30, -8, 90, 58, -28, -7, -94, -27, -29, -79, 31, -14, -58, 65, -127, 19, 9,
    -10, 2, 94, -27, 18, 12, 3, 44, 9, -121, -17, -27, 29, -127, 9, -27, 4, 26, 53, -66, 5, 87, -55, -10, -16,
    43, 96, 5, -47, 19
};

static const int32_t mnist_548_int8_biases_8[10] = {
    6894, 11113, 42, -3804, 4505, -419, 5911, 3004, -2168, -1488
};

static const float mnist_548_int8_multipliers_8[10] = {
    1.46159425e-03f, 1.40640803e-03f, 7.19779870e-04f, 7.48083461e-04f, 9.37066798e-04f, 8.72352684e-04f,
    6.93444745e-04f, 1.24812406e-03f, 6.97974814e-04f, 8.12733895e-04f
};

/* The byte that is nearest, the even one of two that are equally near; `zero` stands for 0. */
static uint8_t mnist_548_int8_byte(float scaled, int32_t zero)
{
    return scaled <= (float)-zero ? (uint8_t)0 : scaled >= (float)(255 - zero) ? (uint8_t)255
        : (uint8_t)((int32_t)lrintf(scaled) + zero);
}

/* A square convolution, perhaps depthwise, the sum with `added`, an activation with `slope` below zero, and the
 * largest of each pool x pool pixels. */
static void mnist_548_int8_block(
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
            *out++ = mnist_548_int8_byte(largest, out_zero);
        }
        weights += read * kernel * kernel;
    }
}

/* Means over a grid x grid raster of windows, which overlap where the grid does not divide the side. */
static void mnist_548_int8_average_of_signed(
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
            *out++ = mnist_548_int8_byte((float)sum * multipliers[window], out_zero);
        }
        in += side * side;
    }
}

static int32_t mnist_548_int8_product(const uint8_t *in, const int8_t *weights, int32_t sum, int32_t length)
{
    for (int32_t i = 0; i < length; i++)
        sum += (int32_t)weights[i] * in[i];
    return sum;
}

void mnist_548_int8_classify(const uint8_t *image, float *scores, uint8_t *arena)
{
    /* conv 3x3 1-4 */
    mnist_548_int8_block(image, arena, mnist_548_int8_weights_0, mnist_548_int8_biases_0, mnist_548_int8_multipliers_0, 0, 0.0f, 0, 0, 23, 1.00000001e-01f, 0, 1, 1, 28, 4, 3, 0, 1);
    /* depthwise 3x3 4 */
    mnist_548_int8_block(arena, arena + 2704, mnist_548_int8_weights_1, 0, mnist_548_int8_multipliers_1, 0, 0.0f, 0, 23, 112, 1.00000000e+00f, 1, 1, 4, 26, 4, 3, 0, 1);
    /* conv 1x1 4-6, max pooling 2x2 */
    mnist_548_int8_block(arena + 2704, arena, mnist_548_int8_weights_2, mnist_548_int8_biases_2, mnist_548_int8_multipliers_2, 0, 0.0f, 0, 112, 10, 1.00000001e-01f, 0, 1, 4, 24, 6, 1, 0, 2);
    /* depthwise 3x3 6 */
    mnist_548_int8_block(arena, arena + 4408, mnist_548_int8_weights_3, 0, mnist_548_int8_multipliers_3, 0, 0.0f, 0, 10, 76, 1.00000000e+00f, 1, 1, 6, 12, 6, 3, 0, 1);
    /* conv 1x1 6-6 */
    mnist_548_int8_block(arena + 4408, arena, mnist_548_int8_weights_4, mnist_548_int8_biases_4, mnist_548_int8_multipliers_4, 0, 0.0f, 0, 76, 19, 1.00000001e-01f, 0, 1, 6, 10, 6, 1, 0, 1);
    /* depthwise 3x3 6 */
    mnist_548_int8_block(arena, arena + 4624, mnist_548_int8_weights_5, 0, mnist_548_int8_multipliers_5, 0, 0.0f, 0, 19, 123, 1.00000000e+00f, 1, 1, 6, 10, 6, 3, 0, 1);
    /* conv 1x1 6-6, max pooling 2x2 */
    mnist_548_int8_block(arena + 4624, arena, mnist_548_int8_weights_6, mnist_548_int8_biases_6, mnist_548_int8_multipliers_6, 0, 0.0f, 0, 123, 17, 1.00000001e-01f, 0, 1, 6, 8, 6, 1, 0, 2);
    /* average pooling to 2x2 */
    mnist_548_int8_average_of_signed(arena, arena + 4984, mnist_548_int8_multipliers_7, 17, 11, 6, 4, 2);
    /* linear 24-10 */
    for (int32_t unit = 0; unit < 10; unit++) {
        const int32_t sum = mnist_548_int8_product(arena + 4984, mnist_548_int8_weights_8 + unit * 24, mnist_548_int8_biases_8[unit], 24);
        scores[unit] = (float)sum * mnist_548_int8_multipliers_8[unit];
    }
}

#ifdef MNIST_548_INT8_MAIN
#include <math.h>
#include <stdio.h>

/* The scores of an image of stripes, as PyTorch has them, in the same 8 bits. */
static const float expected[10] = {
    1.79776087e-01f, -4.12218189e+00f, 4.75054711e-01f, -4.58799601e+00f, -3.45871353e+00f, -6.00265884e+00f,
    -1.95204699e+00f, -6.05464983e+00f, 1.95083964e+00f, -3.20135880e+00f
};

int main(void)
{
    static uint8_t image[784], arena[MNIST_548_INT8_ARENA];
    float scores[10], largest = 0.0f;
    for (int32_t i = 0; i < 784; i++)
        image[i] = (uint8_t)(37 * i % 256);
    mnist_548_int8_classify(image, scores, arena);
    for (int32_t i = 0; i < 10; i++) {
        const float difference = fabsf(scores[i] - expected[i]);
        largest = difference > largest ? difference : largest;
        printf("%.9g\n", (double)scores[i]);
    }
    return largest <= 0.0f ? 0 : 1;
}
#endif
