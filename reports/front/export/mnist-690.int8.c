/* 4vbln-6svbl-8svbln-8svblp-pool2, 8 bits. Written by search.export.
 * Compiled with -DMNIST_690_INT8_MAIN it is a program that tests itself. */
#include "mnist-690.int8.h"

#include <math.h>

static const int8_t mnist_690_int8_weights_0[36] = {
    -4, -48, -74, 113, -38, -117, 24, 127, 92, 108, -3, 127, -80, 100, 28, -47, -52, -11, -127, 18, 69, -23,
    55, 34, -100, -11, 2, -76, -6, 26, -60, 127, -15, 102, 54, -87
};

static const int32_t mnist_690_int8_biases_0[4] = {
    -11336, 9439, 62, -5414
};

static const float mnist_690_int8_multipliers_0[4] = {
    2.49146437e-03f, 2.31780275e-03f, 2.87200557e-03f, 3.26253450e-03f
};

static const int8_t mnist_690_int8_weights_1[36] = {
    -43, 50, -34, 4, -77, -93, -127, 15, -14, -61, -94, -77, 48, 5, 11, 109, 46, 127, -63, -7, -20, -27, -52,
    45, 127, 111, 104, -127, -68, -100, -110, -127, -43, -74, 3, 48
};

static const float mnist_690_int8_multipliers_1[4] = {
    2.80671846e-03f, 1.89387111e-03f, 2.50089960e-03f, 1.74146052e-03f
};

static const int8_t mnist_690_int8_weights_2[24] = {
    88, 16, 5, -127, 127, 33, -44, -81, 127, -51, -23, -82, -5, -127, 11, -6, -118, 127, -102, 60, 47, -24,
    -127, 62
};

static const int32_t mnist_690_int8_biases_2[6] = {
    -436, -525, 2818, -350, -982, 3817
};

static const float mnist_690_int8_multipliers_2[6] = {
    1.31081250e-02f, 1.55835208e-02f, 1.67167056e-02f, 1.61486268e-02f, 1.37902480e-02f, 1.71513129e-02f
};

static const int8_t mnist_690_int8_weights_3[54] = {
    86, 84, 85, -68, 127, 67, -87, -79, -28, -12, -4, -10, 17, 15, 48, 39, 22, 127, 120, -3, -127, -6, -12,
    17, 79, 70, 98, 107, -24, 51, 95, -13, 127, -12, 13, 14, -52, 44, -84, -127, -36, -58, -57, -61, 2, -15,
    10, 33, 53, 7, 97, 127, 23, -67
};

static const float mnist_690_int8_multipliers_3[6] = {
    1.67163869e-03f, 3.02045769e-03f, 1.69334922e-03f, 2.09407648e-03f, 2.04091426e-03f, 2.91116838e-03f
};

static const int8_t mnist_690_int8_weights_4[48] = {
    -32, 37, -76, -127, 41, -41, 127, -57, -30, -22, 13, -32, 30, 18, -18, -8, 50, 127, 4, 121, 11, 8, -127,
    59, -116, 0, -98, 127, 8, 16, 27, -1, -15, 49, 127, -57, -85, -127, -20, -23, -14, -17, 8, -78, -86, -4,
    -67, -127
};

static const int32_t mnist_690_int8_biases_4[8] = {
    7470, 4830, -6073, 4546, 1922, 8351, 3757, 22225
};

static const float mnist_690_int8_multipliers_4[8] = {
    1.13896485e-02f, 8.47530272e-03f, 9.06809047e-03f, 5.45679219e-03f, 9.34945978e-03f, 8.35497584e-03f,
    7.59233534e-03f, 8.27590376e-03f
};

static const int8_t mnist_690_int8_weights_5[72] = {
    -14, -67, -127, 35, -47, -45, 15, -5, 32, 127, -11, -81, -14, 29, -78, 54, 73, 21, 61, -54, 26, 107, 40,
    103, 6, 127, 13, -90, -17, -93, 79, 39, -37, 79, 52, -127, 17, 13, -68, 38, -83, -121, -127, 2, -2, -29,
    7, -50, -12, 11, 0, 13, 86, 127, -87, -86, -83, -3, 24, 127, 43, 76, 56, 116, 127, 76, -8, 4, -1, -46,
    -107, -25
};

static const float mnist_690_int8_multipliers_5[8] = {
    4.29429999e-03f, 3.84011515e-03f, 6.18635630e-03f, 3.49720428e-03f, 4.68463311e-03f, 5.19706495e-03f,
    5.15453564e-03f, 2.87374691e-03f
};

static const int8_t mnist_690_int8_weights_6[64] = {
    -15, -23, 127, 9, -76, -33, 3, -9, 30, -50, -75, -50, 14, 105, 127, -23, -92, -66, -70, 6, 80, 13, -127,
    -57, 74, -16, -118, 65, -34, 13, 127, 63, -8, -5, -89, -85, 127, -34, 57, -30, 90, -127, -1, -97, -96, 90,
    -24, 121, -43, -54, 33, 21, 18, -127, 29, -45, -82, 46, -95, -80, 13, 8, 127, 55
};

static const int32_t mnist_690_int8_biases_6[8] = {
    346, -2376, -1102, -1735, 261, -8594, 4031, -9392
};

static const float mnist_690_int8_multipliers_6[8] = {
    2.30818819e-02f, 1.68070607e-02f, 1.20174987e-02f, 1.48040885e-02f, 1.78652536e-02f, 8.52243323e-03f,
    1.54484287e-02f, 1.93699636e-02f
};

static const float mnist_690_int8_multipliers_7[4] = {
    3.26788723e-01f, 3.26788723e-01f, 3.26788723e-01f, 3.26788723e-01f
};

static const int8_t mnist_690_int8_weights_8[320] = {
    -6, -18, -29, 50, 38, -12, -47, -72, 33, 17, -48, 78, 29, -12, 59, -127, -32, -28, 58, -86, -96, 60, -17,
    29, -61, -12, -9, -52, 21, 26, 50, -70, 8, -27, -10, 39, -36, 13, 17, -33, 10, 56, 35, -127, 47, -22, -14,
    -23, -87, -17, -92, 8, -15, -74, -45, 3, -14, -48, 11, 43, 10, 43, -5, 32, 64, -98, 48, 63, -17, -98, -59,
    -8, -63, -58, 60, 109, 103, -76, -25, -36, -33, -112, 127, 108, 11, -5, -62, 70, 99, -30, -111, 112, -99,
    39, -17, 39, 26, -33, 29, -45, 29, -50, -50, -111, -115, -124, -69, -26, -127, -30, 6, 58, -12, 65, -24,
    -26, 35, 2, 22, 8, -42, 15, 40, -61, -37, -35, -11, -27, -96, -66, -13, -28, -94, -1, 42, 127, 87, 98, 19,
    16, -69, -3, -27, -49, -18, -36, -53, -22, 4, -102, 28, -33, 43, -9, 32, 57, 39, 17, 11, 57, -50, 127, 23,
    -70, -72, 109, -84, -108, 4, 59, -90, -23, 4, 106, -2, 26, 2, 18, -50, -122, -9, -6, 2, 24, -40, 27, 69,
    -21, -1, -14, -19, -80, -47, 59, -58, 29, -27, 8, -44, -76, 31, 2, 26, -36, 24, 38, -3, -39, -26, 28, 2,
    30, -127, -11, -5, 15, -21, 78, 10, -3, 30, -110, 59, -34, 33, -86, -1, -9, 35, 71, 60, 89, 34, -22, -50,
    93, -17, -103, -42, -26, -78, -28, -99, 12, 58, 21, -32, -38, -1, 27, -127, 16, 27, 50, -34, -9, -71, -64,
    -41, 16, 35, -48, 60, -84, -121, -52, 37, -83, 47, -21, 3, 127, 61, 17, 102, 54, -3, 15, -68, 7, 79, -69,
    -40, -91, 18, -68, -90, -12, 5, 2, 5, -58, 42, -39, 24, 70, 3, -88, -7, -77, -16, 5, -32, -53, 88, -11,
    -62, -49, 2, 17, 88, -127, -48, -94, 29, -30, -36, -12, -17, 37
};

static const int32_t mnist_690_int8_biases_8[10] = {
    3733, 9466, -8199, 13661, -2627, 3371, 2894, 828, 7195, 5186
};

static const float mnist_690_int8_multipliers_8[10] = {
    6.74920448e-04f, 1.03534863e-03f, 5.44037845e-04f, 1.02309207e-03f, 7.16000854e-04f, 6.38153288e-04f,
    1.03611359e-03f, 7.71958847e-04f, 5.27955126e-04f, 7.26496335e-04f
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
    mnist_690_int8_block(image, arena, mnist_690_int8_weights_0, mnist_690_int8_biases_0, mnist_690_int8_multipliers_0, 0, 0.0f, 0, 0, 21, 1.00000001e-01f, 0, 1, 1, 28, 4, 3, 0, 1);
    /* depthwise 3x3 4 */
    mnist_690_int8_block(arena, arena + 2704, mnist_690_int8_weights_1, 0, mnist_690_int8_multipliers_1, 0, 0.0f, 0, 21, 132, 1.00000000e+00f, 1, 1, 4, 26, 4, 3, 0, 1);
    /* conv 1x1 4-6, max pooling 2x2 */
    mnist_690_int8_block(arena + 2704, arena, mnist_690_int8_weights_2, mnist_690_int8_biases_2, mnist_690_int8_multipliers_2, 0, 0.0f, 0, 132, 20, 1.00000001e-01f, 0, 1, 4, 24, 6, 1, 0, 2);
    /* depthwise 3x3 6 */
    mnist_690_int8_block(arena, arena + 4408, mnist_690_int8_weights_3, 0, mnist_690_int8_multipliers_3, 0, 0.0f, 0, 20, 137, 1.00000000e+00f, 1, 1, 6, 12, 6, 3, 0, 1);
    /* conv 1x1 6-8 */
    mnist_690_int8_block(arena + 4408, arena, mnist_690_int8_weights_4, mnist_690_int8_biases_4, mnist_690_int8_multipliers_4, 0, 0.0f, 0, 137, 12, 1.00000001e-01f, 0, 1, 6, 10, 8, 1, 0, 1);
    /* depthwise 3x3 8 */
    mnist_690_int8_block(arena, arena + 4496, mnist_690_int8_weights_5, 0, mnist_690_int8_multipliers_5, 0, 0.0f, 0, 12, 111, 1.00000000e+00f, 1, 1, 8, 10, 8, 3, 0, 1);
    /* conv 1x1 8-8, max pooling 2x2 */
    mnist_690_int8_block(arena + 4496, arena, mnist_690_int8_weights_6, mnist_690_int8_biases_6, mnist_690_int8_multipliers_6, 0, 0.0f, 0, 111, 16, 1.00000001e-01f, 0, 1, 8, 8, 8, 1, 0, 2);
    /* average pooling to 2x2 */
    mnist_690_int8_average_of_signed(arena, arena + 4976, mnist_690_int8_multipliers_7, 16, 14, 8, 4, 2);
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
    -2.16379499e+00f, -3.06670260e+00f, -1.46944618e+00f, -2.70403242e+00f, -1.73200607e+00f,
    -7.22134256e+00f, 1.12211096e+00f, -7.33901262e+00f, 4.25584650e+00f, -3.45666957e+00f
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
