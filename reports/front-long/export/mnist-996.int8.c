/* 7vbln-9svbl-10svbln-10svblp-pool2, 8 bits. Written by search.export.
 * Compiled with -DMNIST_996_INT8_MAIN it is a program that tests itself. */
#include "mnist-996.int8.h"

#include <math.h>

static const int8_t mnist_996_int8_weights_0[63] = {
    -38, -82, 95, -39, -54, 127, 8, -63, 0, 63, -15, -67, 34, 64, -73, -20, 108, 127, -127, 36, 34, -17, -94,
    5, 1, 11, -60, -54, -64, -19, -36, -15, 127, 30, 122, 59, -6, 25, 35, 47, 75, 46, -74, -127, -86, 87, -88,
    -104, 9, -37, -54, 69, -40, -127, 1, 70, 89, -94, -34, 58, 6, -127, -26
};

static const int32_t mnist_996_int8_biases_0[7] = {
    -490, -8224, 7008, 50238, 3678, 16298, -1319
};

static const float mnist_996_int8_multipliers_0[7] = {
    2.72312900e-03f, 1.90539809e-03f, 2.22977623e-03f, 1.73185777e-03f, 2.55557382e-03f, 1.35305338e-03f,
    2.52472586e-03f
};

static const int8_t mnist_996_int8_weights_1[63] = {
    6, -12, -11, 48, -1, 28, 81, 127, 69, -127, -122, 6, -33, -5, -62, 0, 3, -118, 127, 103, 19, 113, 41, -76,
    83, -28, -79, 38, -19, 88, -20, 28, 127, 103, 45, -65, -100, -90, 89, -127, -57, 27, -117, -113, 14, -32,
    -20, 17, -14, -127, -119, -123, -86, -103, 46, -6, 127, 69, 116, 53, 73, 30, -43
};

static const float mnist_996_int8_multipliers_1[7] = {
    2.87404866e-03f, 1.77262595e-03f, 2.86534172e-03f, 1.96449133e-03f, 1.69479847e-03f, 2.00628256e-03f,
    1.93074776e-03f
};

static const int8_t mnist_996_int8_weights_2[63] = {
    -37, 1, 29, -127, -64, -14, -34, 117, -126, -93, -54, 127, -105, -40, 12, 38, -11, 127, 7, 13, -46, -89,
    3, 127, 24, -11, 11, 62, -75, -100, 19, 44, -66, 127, 48, 53, -10, -127, -70, 101, -6, -12, 127, 14, -3,
    13, 26, 43, 12, -37, 83, -118, 23, -36, 127, -66, -28, 25, -38, -3, -57, 33, 127
};

static const int32_t mnist_996_int8_biases_2[9] = {
    7309, 2585, -5942, -1866, 10123, 6139, 5888, 2521, 3496
};

static const float mnist_996_int8_multipliers_2[9] = {
    1.00698620e-02f, 1.25128832e-02f, 1.27273574e-02f, 2.53527053e-02f, 8.41196999e-03f, 2.43216995e-02f,
    1.42451823e-02f, 2.53729820e-02f, 1.62635427e-02f
};

static const int8_t mnist_996_int8_weights_3[81] = {
    23, -44, -14, -53, -127, -97, -67, -84, 46, 28, -10, -127, 52, -48, 7, 89, 52, 45, 54, 85, -98, -70, -127,
    -65, -25, -38, 3, 15, 44, -19, -79, -127, -9, -44, -14, 20, -53, -44, -32, -23, -77, -84, 127, 118, 81,
    -86, -23, 5, -127, -14, 11, 34, 59, 32, -21, 20, 6, 22, -56, -127, -82, -49, -114, 3, -53, -108, 87, -16,
    -127, 97, 32, -61, -2, 38, -127, -9, 3, -79, -18, -37, -7
};

static const float mnist_996_int8_multipliers_3[9] = {
    2.97655258e-03f, 2.51954049e-03f, 2.56881700e-03f, 3.31153977e-03f, 2.78358907e-03f, 2.74421251e-03f,
    1.91921357e-03f, 2.18964531e-03f, 3.28699453e-03f
};

static const int8_t mnist_996_int8_weights_4[90] = {
    -30, 51, 42, -127, 70, 92, 12, -14, -10, 46, 80, -21, 17, -127, 5, -18, -39, 26, 123, -45, 98, 57, 95,
    -64, -29, -127, -22, -84, -9, 39, -38, 39, -10, -59, -3, 127, 113, -50, 127, 125, -42, 30, -48, 9, -26,
    17, 49, 61, -42, 127, -29, 18, 2, -32, 22, 54, 47, -8, -17, 29, 127, -9, -10, -25, 6, -61, 42, -76, 127,
    -13, -8, 84, 99, 71, 33, 12, -55, 40, -58, 127, 60, -19, 65, -34, 51, -22, 65, -13, 38, 127
};

static const int32_t mnist_996_int8_biases_4[10] = {
    -1477, -1873, -1566, 1286, 926, 2802, 11250, 2678, 1710, 7470
};

static const float mnist_996_int8_multipliers_4[10] = {
    1.44621115e-02f, 1.49092088e-02f, 1.22543043e-02f, 1.34455469e-02f, 1.13611026e-02f, 1.05592152e-02f,
    1.03963939e-02f, 1.05726384e-02f, 1.22601399e-02f, 1.02111557e-02f
};

static const int8_t mnist_996_int8_weights_5[90] = {
    -37, -55, -36, -127, 42, -15, -18, -10, -45, -81, -86, -83, -127, -114, -9, -89, -57, 105, 16, 8, -8, 32,
    66, 77, 127, -7, -34, 64, 73, 127, 36, -24, 26, -29, -14, -2, -35, -8, 59, 37, 104, 82, 127, 0, 42, -27,
    54, -85, 17, -13, -127, -123, -84, -30, -22, 44, -22, -45, 38, -127, -11, -9, -101, 34, 50, 68, 91, 22,
    29, 127, 7, -2, 30, 6, 127, 69, 63, 26, 6, -58, -96, -45, -33, -94, -19, 28, 30, 127, 92, 23
};

static const float mnist_996_int8_multipliers_5[10] = {
    3.59019195e-03f, 1.96156092e-03f, 3.99423903e-03f, 2.96584493e-03f, 2.72180326e-03f, 2.55161175e-03f,
    3.65010416e-03f, 2.66225007e-03f, 3.24322702e-03f, 2.50372943e-03f
};

static const int8_t mnist_996_int8_weights_6[100] = {
    35, -23, -127, 56, -8, 23, 52, -18, -43, 68, -18, -120, -86, -57, -56, 45, 127, -77, -68, -8, -95, 34,
    -91, 33, 31, -91, -14, 38, -127, 23, -10, 8, 20, -54, -29, 36, -107, -82, -9, -127, 98, -51, -27, 0, 33,
    -85, -36, 9, -127, 43, -38, 91, 9, -100, -116, 63, -1, -9, 127, 33, 127, 123, -26, 79, 12, -113, 101, 64,
    46, -8, 24, -31, -31, -102, 63, 23, 127, 72, 19, -67, 5, 27, 127, -28, -45, 22, 48, 39, 18, 1, 1, 48, -47,
    -24, 118, 59, -34, 127, 8, 37
};

static const int32_t mnist_996_int8_biases_6[10] = {
    -393, 4945, -6392, 668, -3864, 3161, -7301, -1398, -1307, -4752
};

static const float mnist_996_int8_multipliers_6[10] = {
    1.58909615e-02f, 1.32525517e-02f, 1.35048022e-02f, 1.40371146e-02f, 1.58318467e-02f, 1.56849213e-02f,
    1.14501165e-02f, 1.19553171e-02f, 2.07254495e-02f, 1.16567714e-02f
};

static const float mnist_996_int8_multipliers_7[4] = {
    3.58178347e-01f, 3.58178347e-01f, 3.58178347e-01f, 3.58178347e-01f
};

static const int8_t mnist_996_int8_weights_8[400] = {
    0, -24, -22, 33, -37, 6, -49, -15, -4, 6, -23, -21, 4, -34, 37, 14, -2, -59, 16, -66, -30, 3, -42, 15,
    -30, -30, 47, -47, 14, 21, 32, -127, -16, -13, -2, 2, 28, 0, 7, -34, -10, -4, -59, -33, -24, -35, -41,
    -100, -33, -14, 21, -18, 15, -57, 0, 52, -110, -26, -113, -5, -31, -31, -13, -45, -3, 15, -50, 50, -30,
    -49, -51, -44, -76, -127, -75, -53, 14, 58, 61, 31, -27, -56, 127, 12, -20, -20, -79, -23, 58, -23, 37,
    79, -9, -126, 33, 66, 19, -96, 25, -16, 36, -1, 13, -59, -93, 70, -60, 109, 23, 17, 82, 38, -61, -20, 22,
    17, -49, -70, -21, 6, -10, -7, -13, -9, 37, -20, -22, 13, 4, -11, 11, 10, -19, -3, -27, -66, -29, 18, -13,
    0, 22, 44, 33, 41, 0, 31, -10, -58, 17, -25, -26, 8, -48, -22, -12, -11, -61, 7, -127, -63, 26, 29, -72,
    -46, -85, -74, 58, 39, 14, -66, -28, -127, 80, -60, -37, 4, -43, -26, -2, -23, 26, -57, 6, -120, 95, 22,
    22, 21, -52, -36, -65, 43, -1, 23, 6, -33, 27, 3, 52, 39, 4, 45, -123, -30, -51, 42, -26, -1, -33, 18, 34,
    -1, -36, 127, -32, -107, -8, 96, -56, 21, -24, -71, 39, 52, -21, -58, 36, -106, -41, -41, -27, -8, 19,
    -51, -17, -4, -84, 11, -100, -62, 2, 52, -6, 23, -26, -19, -61, -24, -46, 26, -52, 27, -127, -16, 26, 21,
    13, 34, 22, -8, -57, -12, -31, 13, 28, -1, 20, -68, -54, -5, 35, -11, -7, -1, 8, 20, 9, 9, -49, -65, -67,
    -62, 9, 55, 47, 37, 34, 41, 19, 18, -9, -106, 20, -105, -52, -8, -12, -62, -11, 5, -1, -30, -31, -73, -16,
    19, -127, -17, 39, 17, -65, -63, -80, -52, -89, -62, 20, 22, 41, 60, -41, 8, 127, -123, -10, -55, -23,
    -12, -16, -47, -78, -14, -33, -5, -6, -6, 10, 28, 46, 75, -32, 23, 17, 15, -29, -41, -29, -112, 1, 11, 78,
    59, 33, 42, 24, 23, -32, -51, -30, -71, 49, -15, -79, -14, 1, -26, 50, -8, -34, 3, -34, -77, 28, 27, 2,
    -55, 19, -43, -68, -28, -17, 13, -15, -36, -48, -68, 2, 27, 3, 8, -127, 5, 32, 15, -5, -18, 24, -28, 55,
    49
};

static const int32_t mnist_996_int8_biases_8[10] = {
    8607, 21132, -603, 3084, 9881, 10321, 4190, 13674, 3438, 8214
};

static const float mnist_996_int8_multipliers_8[10] = {
    1.40244619e-03f, 9.83858132e-04f, 6.38779195e-04f, 1.18748541e-03f, 7.15806906e-04f, 5.65416412e-04f,
    1.14096585e-03f, 7.80173461e-04f, 6.49623806e-04f, 1.04328501e-03f
};

/* The byte that is nearest, the even one of two that are equally near; `zero` stands for 0. */
static uint8_t mnist_996_int8_byte(float scaled, int32_t zero)
{
    return scaled <= (float)-zero ? (uint8_t)0 : scaled >= (float)(255 - zero) ? (uint8_t)255
        : (uint8_t)((int32_t)lrintf(scaled) + zero);
}

/* A square convolution, perhaps depthwise, the sum with `added`, an activation with `slope` below zero, and the
 * largest of each pool x pool pixels. */
static void mnist_996_int8_block(
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
            *out++ = mnist_996_int8_byte(largest, out_zero);
        }
        weights += read * kernel * kernel;
    }
}

/* Means over a grid x grid raster of windows, which overlap where the grid does not divide the side. */
static void mnist_996_int8_average_of_signed(
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
            *out++ = mnist_996_int8_byte((float)sum * multipliers[window], out_zero);
        }
        in += side * side;
    }
}

static int32_t mnist_996_int8_product(const uint8_t *in, const int8_t *weights, int32_t sum, int32_t length)
{
    for (int32_t i = 0; i < length; i++)
        sum += (int32_t)weights[i] * in[i];
    return sum;
}

void mnist_996_int8_classify(const uint8_t *image, float *scores, uint8_t *arena)
{
    /* conv 3x3 1-7 */
    mnist_996_int8_block(image, arena, mnist_996_int8_weights_0, mnist_996_int8_biases_0, mnist_996_int8_multipliers_0, 0, 0.0f, 0, 0, 19, 1.00000001e-01f, 0, 1, 1, 28, 7, 3, 0, 1);
    /* depthwise 3x3 7 */
    mnist_996_int8_block(arena, arena + 4732, mnist_996_int8_weights_1, 0, mnist_996_int8_multipliers_1, 0, 0.0f, 0, 19, 109, 1.00000000e+00f, 1, 1, 7, 26, 7, 3, 0, 1);
    /* conv 1x1 7-9, max pooling 2x2 */
    mnist_996_int8_block(arena + 4732, arena, mnist_996_int8_weights_2, mnist_996_int8_biases_2, mnist_996_int8_multipliers_2, 0, 0.0f, 0, 109, 13, 1.00000001e-01f, 0, 1, 7, 24, 9, 1, 0, 2);
    /* depthwise 3x3 9 */
    mnist_996_int8_block(arena, arena + 7864, mnist_996_int8_weights_3, 0, mnist_996_int8_multipliers_3, 0, 0.0f, 0, 13, 150, 1.00000000e+00f, 1, 1, 9, 12, 9, 3, 0, 1);
    /* conv 1x1 9-10 */
    mnist_996_int8_block(arena + 7864, arena, mnist_996_int8_weights_4, mnist_996_int8_biases_4, mnist_996_int8_multipliers_4, 0, 0.0f, 0, 150, 24, 1.00000001e-01f, 0, 1, 9, 10, 10, 1, 0, 1);
    /* depthwise 3x3 10 */
    mnist_996_int8_block(arena, arena + 8124, mnist_996_int8_weights_5, 0, mnist_996_int8_multipliers_5, 0, 0.0f, 0, 24, 135, 1.00000000e+00f, 1, 1, 10, 10, 10, 3, 0, 1);
    /* conv 1x1 10-10, max pooling 2x2 */
    mnist_996_int8_block(arena + 8124, arena, mnist_996_int8_weights_6, mnist_996_int8_biases_6, mnist_996_int8_multipliers_6, 0, 0.0f, 0, 135, 21, 1.00000001e-01f, 0, 1, 10, 8, 10, 1, 0, 2);
    /* average pooling to 2x2 */
    mnist_996_int8_average_of_signed(arena, arena + 8724, mnist_996_int8_multipliers_7, 21, 17, 10, 4, 2);
    /* linear 40-10 */
    for (int32_t unit = 0; unit < 10; unit++) {
        const int32_t sum = mnist_996_int8_product(arena + 8724, mnist_996_int8_weights_8 + unit * 40, mnist_996_int8_biases_8[unit], 40);
        scores[unit] = (float)sum * mnist_996_int8_multipliers_8[unit];
    }
}

#ifdef MNIST_996_INT8_MAIN
#include <math.h>
#include <stdio.h>

/* The scores of an image of stripes, as PyTorch has them, in the same 8 bits. */
static const float expected[10] = {
    -8.05144310e+00f, -2.31560841e+01f, -7.79055119e+00f, -3.18721080e+00f, -2.58119965e+00f,
    -2.00327039e+00f, -8.84933090e+00f, -2.44584370e+00f, 8.99079323e-01f, 3.28843427e+00f
};

int main(void)
{
    static uint8_t image[784], arena[MNIST_996_INT8_ARENA];
    float scores[10], largest = 0.0f;
    for (int32_t i = 0; i < 784; i++)
        image[i] = (uint8_t)(37 * i % 256);
    mnist_996_int8_classify(image, scores, arena);
    for (int32_t i = 0; i < 10; i++) {
        const float difference = fabsf(scores[i] - expected[i]);
        largest = difference > largest ? difference : largest;
        printf("%.9g\n", (double)scores[i]);
    }
    return largest <= 0.0f ? 0 : 1;
}
#endif
