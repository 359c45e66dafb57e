/* 12k5vbl-8svbln-8svblx2-pool2, 8 bits. Written by search.export.
 * Compiled with -DMNIST_998_INT8_MAIN it is a program that tests itself. */
#include "mnist-998.int8.h"

#include <math.h>

static const int8_t mnist_998_int8_weights_0[300] = {
    2, 43, 15, -81, -40, 20, 13, -127, -14, 65, 17, -127, 15, 40, 13, -41, -27, 40, 21, 14, -82, -27, -10,
    -11, 1, 14, -27, -38, -52, -28, 32, -9, -6, -70, -28, 41, 98, 127, -48, -7, -16, 12, 66, 47, 36, -87,
    -100, -46, 37, 85, 21, -30, -127, -66, -2, 51, 116, 79, 60, 8, -4, -13, 9, 71, -12, -20, -35, -66, 10, -4,
    -14, 7, -10, -1, -47, 56, -40, 7, 90, 27, 57, -16, 10, -64, -106, 123, -39, -60, -54, -92, 119, -70, -50,
    -10, -68, 43, 2, 21, 17, -127, 40, 1, -88, -56, -7, 45, -6, -37, -14, -46, 38, 1, -48, 49, 17, 72, 106,
    127, 99, -35, -2, 5, -17, 24, 24, -92, -33, 36, -14, -50, -39, -5, 46, 6, 115, -106, -127, 28, 49, 68,
    -55, -74, 24, 52, 58, 54, -23, 19, 59, -98, 33, 42, -24, -69, -79, 48, 17, -48, -114, 25, 25, -36, -121,
    -23, 16, 17, -127, -47, -11, 48, -92, -52, 11, 33, 25, 51, -21, 40, 11, 61, -34, -30, -4, 42, -8, 74, 69,
    53, -85, -32, 40, -3, -71, -97, 27, -127, -127, -52, 58, -23, -41, -3, 17, -9, -1, -7, -13, 3, 9, 15, 89,
    2, -127, -64, 14, 46, -2, -68, 16, 77, -13, 61, 10, -17, -23, -19, -24, -75, 2, 28, -66, -25, 15, 64, 6,
    -53, 84, 127, 50, 67, 32, 94, 11, -17, 6, 116, -65, -73, -46, -64, -105, -7, 49, 2, 31, 1, -127, -115,
    -37, -30, 29, 33, -15, -58, -62, 20, 3, 0, 5, 0, 10, -2, 22, 29, 30, 8, 20, 12, -12, 58, 12, 48, -14, 6,
    80, -30, 62, 93, 57, 45, -107, -95, -62, -10, -52, 28, -69, -127, -100, -45
};

static const int32_t mnist_998_int8_biases_0[12] = {
    -1217, -10392, -15954, -841, -24510, -21759, 11477, -4874, 977, -26361, 5729, 4685
};

static const float mnist_998_int8_multipliers_0[12] = {
    1.71062781e-03f, 1.93976157e-03f, 2.88397935e-03f, 1.08232559e-03f, 1.41479634e-03f, 1.23607053e-03f,
    9.53340088e-04f, 1.54425832e-03f, 3.09659285e-03f, 1.43801153e-03f, 1.64216326e-03f, 1.24041352e-03f
};

static const int8_t mnist_998_int8_weights_1[108] = {
    -4, 28, 11, -76, 28, -30, -111, -127, -108, -16, 127, -16, 46, -14, -9, -50, -91, -46, 120, 12, 103, 83,
    13, -14, 59, -127, -1, 37, 87, -40, -127, -4, 34, -61, 39, 52, 0, 0, 102, -30, -127, -15, -95, 43, 19,
    127, 21, 106, -51, 45, 23, 19, 19, 65, -85, -77, -96, -31, 14, -65, 43, 127, 65, 56, -80, -38, 93, -57,
    48, 127, 120, -85, -127, 5, -13, 17, -20, -82, -69, -56, -56, -22, 50, 73, -10, 44, 94, -22, -127, -36,
    -76, 125, -42, 93, 127, -49, 98, 26, 11, 35, -20, -50, -127, -36, -115, 17, 68, -108
};

static const float mnist_998_int8_multipliers_1[12] = {
    2.91968486e-03f, 3.42226727e-03f, 2.06800038e-03f, 3.96943232e-03f, 3.07352003e-03f, 2.75645847e-03f,
    3.81268538e-03f, 2.91014207e-03f, 2.32066098e-03f, 3.40575515e-03f, 3.69082694e-03f, 2.86115310e-03f
};

static const int8_t mnist_998_int8_weights_2[96] = {
    -56, 38, 75, 112, 89, -112, 127, -120, 17, -1, 9, -39, 2, -9, 14, 71, 64, -10, 9, -31, -6, 18, -127, 31,
    50, 66, 40, -64, 51, -49, 30, 10, -86, -39, -127, -40, -9, 102, 48, 53, 0, -54, 117, 89, 20, -82, 28, 127,
    70, -75, 13, -79, 49, -20, -107, -115, -62, 8, -127, 50, 127, -63, -45, -52, -19, -79, -117, 44, 58, -19,
    21, 14, -43, -32, 85, -12, 39, -68, -66, -86, 23, 127, -26, -65, -123, 46, -68, -124, 47, -32, -127, -20,
    52, 91, 0, 60
};

static const int32_t mnist_998_int8_biases_2[8] = {
    202, 833, 579, -150, -771, 3745, 2209, 3251
};

static const float mnist_998_int8_multipliers_2[8] = {
    1.00445775e-02f, 1.64320655e-02f, 1.09518366e-02f, 1.06135244e-02f, 1.22193694e-02f, 1.10846870e-02f,
    1.02704400e-02f, 1.10463211e-02f
};

static const int8_t mnist_998_int8_weights_3[72] = {
    -73, -37, -16, -127, 23, 69, 38, 22, 35, -75, 33, 76, -7, -11, 77, 127, 80, 84, -7, 7, 14, 30, -67, -105,
    -127, -85, 24, -34, -3, -58, -15, 8, -127, -100, 35, -80, -74, -73, -127, -53, -10, -28, -61, -14, -6, -4,
    9, 127, -13, -4, -2, -42, 2, -44, 69, -93, -127, -41, -54, -66, -115, 24, 7, 36, 60, 122, -120, -13, -81,
    -127, -114, -97
};

static const float mnist_998_int8_multipliers_3[8] = {
    2.96449033e-03f, 2.64566229e-03f, 2.89812754e-03f, 3.09050293e-03f, 2.77951360e-03f, 4.16189572e-03f,
    2.25977879e-03f, 1.65504136e-03f
};

static const int8_t mnist_998_int8_weights_4[64] = {
    9, -70, 127, -10, -42, -29, -67, 23, -111, 29, 109, 53, 127, -69, -57, -51, -55, 109, -99, 127, 25, 44, 7,
    -27, 89, -127, 28, 39, 114, -27, -73, 122, 112, 7, 34, 113, -53, -120, 127, 12, -49, 87, -40, -127, -10,
    -21, 60, 58, 71, 56, -64, 77, -127, -50, -106, 96, -21, -54, 30, 7, 12, 127, 15, 57
};

static const int32_t mnist_998_int8_biases_4[8] = {
    1526, 3564, -2785, 2136, 5928, 1218, -268, 1881
};

static const float mnist_998_int8_multipliers_4[8] = {
    1.25259934e-02f, 7.96942879e-03f, 1.41801070e-02f, 1.12215811e-02f, 1.00064147e-02f, 1.26825869e-02f,
    8.92299879e-03f, 1.53681347e-02f
};

static const float mnist_998_int8_multipliers_5[8] = {
    2.64781434e-03f, 2.36304477e-03f, 2.58854078e-03f, 2.76036607e-03f, 2.48259748e-03f, 3.71730956e-03f,
    2.01838231e-03f, 1.47824490e-03f
};

static const int8_t mnist_998_int8_weights_6[64] = {
    9, -70, 127, -10, -42, -29, -67, 23, -111, 29, 109, 53, 127, -69, -57, -51, -55, 109, -99, 127, 25, 44, 7,
    -27, 89, -127, 28, 39, 114, -27, -73, 122, 112, 7, 34, 113, -53, -120, 127, 12, -49, 87, -40, -127, -10,
    -21, 60, 58, 71, 56, -64, 77, -127, -50, -106, 96, -21, -54, 30, 7, 12, 127, 15, 57
};

static const int32_t mnist_998_int8_biases_6[8] = {
    394, 4548, -1827, 6411, 7120, -2170, -3628, 2585
};

static const float mnist_998_int8_multipliers_6[8] = {
    1.25437686e-02f, 1.10999774e-02f, 1.18055008e-02f, 8.39304179e-03f, 8.46773665e-03f, 1.05483187e-02f,
    9.81817488e-03f, 1.51939979e-02f
};

static const float mnist_998_int8_multipliers_7[4] = {
    1.90388873e-01f, 1.90388873e-01f, 1.90388873e-01f, 1.90388873e-01f
};

static const int8_t mnist_998_int8_weights_8[320] = {
    -55, -15, -5, 49, -56, -29, -63, -61, 9, -40, -48, -111, 78, 44, 29, -91, 22, -29, -23, 81, -38, 41, -78,
    127, -30, -11, 2, -18, -85, 31, -16, 90, -116, -45, -93, 1, 44, -42, -22, -76, -34, 18, -10, -81, -127,
    -32, -77, -13, 14, 29, -12, 2, 6, -51, 55, -42, 53, 4, 22, -26, -6, -57, 16, -114, 3, -6, -53, 47, -8, 1,
    6, -92, 34, -53, 20, -54, -19, -59, 127, -12, 1, 18, 67, -96, 43, -20, 19, 12, -12, -11, -22, 10, 36, 37,
    47, -27, -127, 58, 40, -13, 41, -9, -12, 74, 2, 16, -63, 13, -7, -45, -78, 37, -77, -40, -49, 26, 19, -76,
    15, -44, -27, -5, -45, -33, 51, 33, 3, 16, 75, 15, 86, -41, -81, 2, 47, -38, -32, -14, 65, 58, -50, -55,
    -60, -70, 26, 0, 31, -82, -30, -20, 27, -70, -13, 59, -9, 11, 19, -59, -5, -127, -1, -28, 25, 2, 2, 33,
    -7, 58, -76, 8, -85, -54, -5, 48, -59, -9, -1, -97, -53, 78, -58, 36, 11, -46, 7, -13, -5, -12, -58, -127,
    -12, 39, 8, 39, -4, 50, -14, -11, -66, -6, -25, -21, -69, -95, -13, -37, 26, 60, 127, -21, -64, -35, -46,
    64, -123, 14, 90, -84, -1, -17, -71, -103, -37, 56, -127, 1, -115, -93, -12, -3, 29, 7, 17, 68, -8, 62, 4,
    -24, -27, -15, -49, 8, 37, -16, 17, -48, -17, -16, -4, -20, -16, 36, 3, -5, 3, -36, 109, -36, 5, 9, -14,
    63, -9, 80, 40, -61, 91, -110, -20, 57, 45, 92, -116, -16, 66, -64, -90, -51, -127, 51, -87, 66, 14, 12,
    -52, 39, -6, -30, 37, -27, 55, -64, 30, 1, 13, -26, 15, 10, -4, 51, 17, 37, -127, -21, -26, 20, -101, 50,
    -26, 29, 13, -64, -22, 6, 14, -14, -21, 12, -18, -41
};

static const int32_t mnist_998_int8_biases_8[10] = {
    5992, 19666, 554, 4192, 7306, 9605, 7075, 7618, -818, -533
};

static const float mnist_998_int8_multipliers_8[10] = {
    8.21937225e-04f, 7.82796124e-04f, 1.00286107e-03f, 8.28914053e-04f, 6.64534629e-04f, 6.96670264e-04f,
    6.50800066e-04f, 8.91376578e-04f, 4.08232358e-04f, 9.40665079e-04f
};

/* The byte that is nearest, the even one of two that are equally near; `zero` stands for 0. */
static uint8_t mnist_998_int8_byte(float scaled, int32_t zero)
{
    return scaled <= (float)-zero ? (uint8_t)0 : scaled >= (float)(255 - zero) ? (uint8_t)255
        : (uint8_t)((int32_t)lrintf(scaled) + zero);
}

/* A square convolution, perhaps depthwise, the sum with `added`, an activation with `slope` below zero, and the
 * largest of each pool x pool pixels. */
static void mnist_998_int8_block(
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
            *out++ = mnist_998_int8_byte(largest, out_zero);
        }
        weights += read * kernel * kernel;
    }
}

/* Means over a grid x grid raster of windows, which overlap where the grid does not divide the side. */
static void mnist_998_int8_average_of_signed(
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
            *out++ = mnist_998_int8_byte((float)sum * multipliers[window], out_zero);
        }
        in += side * side;
    }
}

static int32_t mnist_998_int8_product(const uint8_t *in, const int8_t *weights, int32_t sum, int32_t length)
{
    for (int32_t i = 0; i < length; i++)
        sum += (int32_t)weights[i] * in[i];
    return sum;
}

void mnist_998_int8_classify(const uint8_t *image, float *scores, uint8_t *arena)
{
    /* conv 5x5 1-12, max pooling 2x2 */
    mnist_998_int8_block(image, arena, mnist_998_int8_weights_0, mnist_998_int8_biases_0, mnist_998_int8_multipliers_0, 0, 0.0f, 0, 0, 18, 1.00000001e-01f, 0, 1, 1, 28, 12, 5, 0, 2);
    /* depthwise 3x3 12 */
    mnist_998_int8_block(arena, arena + 1728, mnist_998_int8_weights_1, 0, mnist_998_int8_multipliers_1, 0, 0.0f, 0, 18, 133, 1.00000000e+00f, 1, 1, 12, 12, 12, 3, 0, 1);
    /* conv 1x1 12-8 */
    mnist_998_int8_block(arena + 1728, arena, mnist_998_int8_weights_2, mnist_998_int8_biases_2, mnist_998_int8_multipliers_2, 0, 0.0f, 0, 133, 27, 1.00000001e-01f, 0, 1, 12, 10, 8, 1, 0, 1);
    /* depthwise 3x3 8 */
    mnist_998_int8_block(arena, arena + 2416, mnist_998_int8_weights_3, 0, mnist_998_int8_multipliers_3, 0, 0.0f, 0, 27, 142, 1.00000000e+00f, 1, 1, 8, 10, 8, 3, 0, 1);
    /* conv 1x1 8-8 */
    mnist_998_int8_block(arena + 2416, arena, mnist_998_int8_weights_4, mnist_998_int8_biases_4, mnist_998_int8_multipliers_4, 0, 0.0f, 0, 142, 22, 1.00000001e-01f, 0, 1, 8, 8, 8, 1, 0, 1);
    /* depthwise 3x3 8, the same weights */
    mnist_998_int8_block(arena, arena + 2640, mnist_998_int8_weights_3, 0, mnist_998_int8_multipliers_5, 0, 0.0f, 0, 22, 142, 1.00000000e+00f, 1, 1, 8, 8, 8, 3, 0, 1);
    /* conv 1x1 8-8, the same weights */
    mnist_998_int8_block(arena + 2640, arena, mnist_998_int8_weights_6, mnist_998_int8_biases_6, mnist_998_int8_multipliers_6, 0, 0.0f, 0, 142, 19, 1.00000001e-01f, 0, 1, 8, 6, 8, 1, 0, 1);
    /* average pooling to 2x2 */
    mnist_998_int8_average_of_signed(arena, arena + 2896, mnist_998_int8_multipliers_7, 19, 18, 8, 6, 2);
    /* linear 32-10 */
    for (int32_t unit = 0; unit < 10; unit++) {
        const int32_t sum = mnist_998_int8_product(arena + 2896, mnist_998_int8_weights_8 + unit * 32, mnist_998_int8_biases_8[unit], 32);
        scores[unit] = (float)sum * mnist_998_int8_multipliers_8[unit];
    }
}

#ifdef MNIST_998_INT8_MAIN
#include <math.h>
#include <stdio.h>

/* The scores of an image of stripes, as PyTorch has them, in the same 8 bits. */
static const float expected[10] = {
    -3.62885284e+00f, -1.41560850e+01f, -4.37046862e+00f, -2.45441456e+01f, 3.26087141e+00f, -7.14992714e+00f,
    2.24721265e+00f, -2.62100372e+01f, 1.87827706e+00f, -1.26557083e+01f
};

int main(void)
{
    static uint8_t image[784], arena[MNIST_998_INT8_ARENA];
    float scores[10], largest = 0.0f;
    for (int32_t i = 0; i < 784; i++)
        image[i] = (uint8_t)(37 * i % 256);
    mnist_998_int8_classify(image, scores, arena);
    for (int32_t i = 0; i < 10; i++) {
        const float difference = fabsf(scores[i] - expected[i]);
        largest = difference > largest ? difference : largest;
        printf("%.9g\n", (double)scores[i]);
    }
    return largest <= 0.0f ? 0 : 1;
}
#endif
