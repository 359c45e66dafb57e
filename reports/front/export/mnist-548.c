/* 4vbln-6svbl-6svbln-6svblp-pool2, float32. Written by search.export.
 * Compiled with -DMNIST_548_MAIN it is a program that tests itself. */
#include "mnist-548.h"

static const float mnist_548_weights_0[36] = {
    1.30149111e-01f, -2.45576811e+00f, 1.13760412e+00f, -5.96720338e-01f, -1.32451594e+00f, 2.50120306e+00f,
    -6.09474301e-01f, 8.53288591e-01f, 6.09528124e-01f, -1.46324658e+00f, -6.11368895e-01f, 9.09644902e-01f,
    -1.27095890e+00f, 3.90507430e-01f, 7.33953059e-01f, -6.32416606e-01f, -6.90919816e-01f, -2.10629657e-01f,
    5.06806254e-01f, -1.01606238e+00f, -1.53603232e+00f, 1.01619053e+00f, 4.64552116e+00f, -6.95665181e-01f,
    -2.60386086e+00f, -4.30139154e-01f, 2.08649802e+00f, 6.36013925e-01f, 5.93247294e-01f, 1.13349855e+00f,
    2.55341858e-01f, 7.62014925e-01f, 2.60045290e-01f, 4.20257509e-01f, -4.19009566e-01f, -2.25821316e-01f
};

static const float mnist_548_biases_0[4] = {
    3.59614402e-01f, 6.82795167e-01f, -1.09680617e+00f, 1.88171220e+00f
};

static const float mnist_548_weights_1[36] = {
    -2.46930385e+00f, -4.34580183e+00f, -4.90929413e+00f, -7.53820956e-01f, -2.26406908e+00f, 2.04475641e+00f,
    1.60675734e-01f, -3.30281281e+00f, -6.60238934e+00f, 7.44514346e-01f, 2.29805446e+00f, 7.46331263e+00f,
    8.56612778e+00f, 2.90799832e+00f, 3.69083476e+00f, 6.97604942e+00f, 3.12371325e+00f, 3.36731243e+00f,
    -1.17494297e+00f, 6.94199741e-01f, -7.19859934e+00f, -9.03279305e-01f, -6.04856491e+00f, -2.28608656e+00f,
    -1.76725364e+00f, -1.83443630e+00f, -6.51779473e-01f, 4.59212255e+00f, 2.07053494e+00f, -1.49272335e+00f,
    -5.65057285e-02f, 1.33294976e+00f, 8.70581269e-01f, 3.23046589e+00f, 5.07244539e+00f, 4.36943263e-01f
};

static const float mnist_548_weights_2[24] = {
    8.06393549e-02f, 6.83331266e-02f, -8.00070986e-02f, 5.23582697e-02f, -5.48226722e-02f, 6.57190233e-02f,
    1.25898765e-02f, 4.73275967e-02f, -3.87247652e-02f, -3.81673388e-02f, 3.89701850e-03f, 3.69698182e-02f,
    -6.61014393e-02f, -5.15662357e-02f, 2.70380173e-02f, 2.68135741e-02f, 1.20377997e-02f, 9.22162682e-02f,
    -8.39033443e-03f, 1.22398455e-02f, 2.65492518e-02f, -5.72561286e-02f, -1.03418984e-01f, -3.86157036e-02f
};

static const float mnist_548_biases_2[6] = {
    -1.98404324e+00f, -2.88080549e+00f, -3.14225554e-01f, 7.37786949e-01f, -2.81675386e+00f, 4.54428864e+00f
};

static const float mnist_548_weights_3[54] = {
    4.11841583e+00f, 1.55896485e+00f, 3.83908963e+00f, -1.38801193e+00f, 3.79115415e+00f, -1.95506048e+00f,
    -3.72318363e+00f, -3.27017188e-01f, 1.79118824e+00f, 2.86481768e-01f, 2.64769554e+00f, 2.07447672e+00f,
    -4.19803953e+00f, -5.56416368e+00f, -7.33169603e+00f, 1.78543937e+00f, 2.47836924e+00f, 1.72974360e+00f,
    3.39124417e+00f, 2.79281044e+00f, 2.03981853e+00f, -6.06104088e+00f, -5.15867233e+00f, -5.89595652e+00f,
    2.70630407e+00f, 3.27298164e+00f, 2.14370799e+00f, 7.50168204e-01f, -8.82510781e-01f, -5.58224964e+00f,
    1.34608352e+00f, 2.57345295e+00f, -5.28335190e+00f, 1.98227644e-01f, 3.84293723e+00f, 5.77969980e+00f,
    2.66048145e+00f, 3.19143248e+00f, 5.88336182e+00f, 3.19224548e+00f, -1.75046921e+00f, -6.28159475e+00f,
    -8.89314175e+00f, 2.31946707e+00f, 4.29574847e-01f, 3.05528883e-02f, 1.71968126e+00f, 5.59825277e+00f,
    -4.51016515e-01f, 3.17763948e+00f, -1.47586048e-01f, 1.35735321e+00f, 1.58815694e+00f, 2.01252079e+00f
};

static const float mnist_548_weights_4[36] = {
    -1.74605884e-02f, 6.16730452e-02f, -1.02489874e-01f, -5.01729101e-02f, 7.37370029e-02f, 3.58490944e-02f,
    6.13903487e-03f, 8.41364339e-02f, 1.03924960e-01f, -3.93607952e-02f, 8.83133113e-02f, -3.67899449e-03f,
    -1.51843776e-03f, -5.13888896e-02f, 9.46118087e-02f, 5.63133061e-02f, 1.73569009e-01f, 2.17138231e-02f,
    -6.73073903e-02f, -1.19431959e-02f, 6.36812672e-02f, 6.10946789e-02f, -1.74115077e-02f, 2.49740984e-02f,
    -6.73778504e-02f, -1.65623601e-03f, 7.59704784e-02f, 1.08765466e-02f, 3.61719122e-03f, 8.50968137e-02f,
    3.07791978e-02f, 4.82400656e-02f, -3.91828688e-03f, -6.86934292e-02f, 4.41126898e-02f, 4.75852750e-02f
};

static const float mnist_548_biases_4[6] = {
    4.30398822e-01f, 9.80866253e-01f, -6.74087644e-01f, -7.59378791e-01f, -2.41421962e+00f, 6.48927316e-02f
};

static const float mnist_548_weights_5[54] = {
    4.02130127e+00f, -5.79819739e-01f, 4.01558638e+00f, 3.06348658e+00f, -1.36945295e+00f, 2.68460178e+00f,
    -8.03553486e+00f, 3.79118234e-01f, -4.06551033e-01f, -4.98189211e+00f, 1.68888345e-02f, -8.27180004e+00f,
    -1.39284766e+00f, -9.19594479e+00f, -2.72816062e+00f, -5.37106037e+00f, -2.19224143e+00f, 9.02870178e-01f,
    -1.33095670e+00f, 2.98208284e+00f, 3.41014910e+00f, 3.94257641e+00f, -1.14450800e+00f, -4.35349274e+00f,
    -2.61004496e+00f, -4.12566471e+00f, -4.17078257e+00f, 2.10556698e+00f, 2.95032597e+00f, 1.43868589e+00f,
    4.01710749e+00f, 3.30523682e+00f, -5.94417477e+00f, -4.19086993e-01f, -5.62395573e+00f, -6.25134897e+00f,
    -1.40455931e-01f, -4.24496841e+00f, -6.55627871e+00f, -4.39529324e+00f, -3.53523016e+00f, 7.92224884e-01f,
    -1.64273107e+00f, 3.31517816e+00f, 3.37978053e+00f, -8.61726582e-01f, -7.49524832e-01f, -5.19123268e+00f,
    1.94098747e+00f, -8.92131507e-01f, 1.18165326e+00f, 2.53856921e+00f, 4.80068970e+00f, 5.27173615e+00f
};

static const float mnist_548_weights_6[36] = {
    2.46557202e-02f, -9.09201056e-03f, -3.66159268e-02f, 2.36903895e-02f, -7.69973248e-02f, -3.39743495e-02f,
    2.00622547e-02f, -9.05720610e-03f, 1.62943415e-02f, 4.02337909e-02f, 3.48941386e-02f, 7.13302940e-02f,
    -4.53932304e-03f, -1.07964046e-01f, -7.80115952e-04f, 1.29959872e-03f, 1.52018173e-02f, 2.70359349e-02f,
    8.39147642e-02f, 7.49827102e-02f, 4.23499048e-02f, -1.61415397e-03f, -3.66857299e-03f, -3.30083445e-02f,
    -4.77317087e-02f, 2.44439803e-02f, -1.03746369e-01f, 7.08342269e-02f, 3.00980266e-02f, -9.64308809e-03f,
    -1.70645770e-02f, 7.50630945e-02f, 1.19332329e-03f, -8.56979638e-02f, -4.92440909e-03f, 2.39601787e-02f
};

static const float mnist_548_biases_6[6] = {
    -2.96531767e-01f, -9.95426834e-01f, -1.70608833e-01f, -1.50250513e-02f, -3.92585218e-01f, -5.88446796e-01f
};

static const float mnist_548_weights_8[240] = {
    -3.56923491e-01f, 2.05476904e+00f, 1.61028659e+00f, -2.61390328e+00f, -1.65356249e-01f, 1.49823630e+00f,
    5.31687438e-01f, 2.98503804e+00f, -2.46093702e+00f, -1.78127229e+00f, -2.01800680e+00f, -1.31131625e+00f,
    1.11046946e+00f, -1.11737704e+00f, -6.97845697e+00f, -6.66785145e+00f, -2.60037661e+00f, 2.30886412e+00f,
    -2.97724462e+00f, 1.83483267e+00f, -3.43070936e+00f, -2.40126514e+00f, 3.30389762e+00f, -1.06898336e+01f,
    -3.94340968e+00f, -3.92836928e+00f, -5.00253820e+00f, -5.04449606e+00f, 2.87346697e+00f, -4.24470758e+00f,
    -1.02185082e+00f, 6.91391647e-01f, -9.78480220e-01f, -1.22798848e+00f, -6.67726636e-01f, 2.08378792e+00f,
    -2.57538033e+00f, -8.84976760e-02f, -1.12821329e+00f, -1.80536819e+00f, 1.90558660e+00f, -2.07981443e+00f,
    6.38769686e-01f, 9.58648205e-01f, -1.02862120e+01f, -1.42935455e+00f, -3.99252796e+00f, 4.55080700e+00f,
    1.73590195e+00f, -9.96022582e-01f, 1.35058987e+00f, -3.86016935e-01f, -3.29438615e+00f, -1.61389458e+00f,
    -3.08263707e+00f, 4.37646055e+00f, 2.40642309e+00f, -2.75154233e+00f, 6.51102841e-01f, 2.99825728e-01f,
    1.27151346e+00f, -7.56567061e-01f, -6.49198532e-01f, -8.07709157e-01f, 4.78369981e-01f, 1.37093544e+00f,
    -3.32470608e+00f, -1.97578990e+00f, -5.26433897e+00f, -1.60717928e+00f, 2.53809381e+00f, 5.05899715e+00f,
    1.09043002e+00f, -1.82782128e-01f, 1.20058215e+00f, 4.53791380e+00f, -2.96298563e-01f, -3.05290127e+00f,
    -1.67591199e-01f, -3.75146461e+00f, 2.77006602e+00f, -1.94022667e+00f, 1.11090589e+00f, -1.21474123e+00f,
    3.89239812e+00f, -1.27688003e+00f, -5.47134638e+00f, -4.83552837e+00f, 1.78126323e+00f, -1.46355033e+00f,
    2.94613695e+00f, -9.32168841e-01f, -5.10912228e+00f, 2.62600088e+00f, -3.30967760e+00f, -4.14518356e+00f,
    -3.79085970e+00f, -4.51672792e+00f, -1.04878834e-02f, -6.85353613e+00f, 2.16581419e-01f, 1.77212477e+00f,
    4.24779594e-01f, 1.64667439e+00f, -2.78032732e+00f, -3.33142972e+00f, 1.00090873e+00f, 2.85912424e-01f,
    -6.05555153e+00f, -9.80441928e-01f, 5.22957373e+00f, 5.79764271e+00f, -8.48237574e-02f, 8.81627440e-01f,
    -3.21252376e-01f, -1.82855949e-01f, 4.44888306e+00f, 2.28329325e+00f, 7.08693802e-01f, 1.31925631e+00f,
    -6.42453969e-01f, 1.80441231e-01f, 5.97335696e-01f, 1.14600194e+00f, -9.71962869e-01f, 2.74910879e+00f,
    1.56605113e+00f, -3.62275338e+00f, -1.39679778e+00f, 4.51742411e+00f, 3.34944397e-01f, -2.40323305e+00f,
    -4.13232470e+00f, -7.48274773e-02f, -3.95752382e+00f, -3.78776026e+00f, 1.89805016e-01f, -2.86245370e+00f,
    2.85127735e+00f, 1.84603989e-01f, 6.73983246e-02f, -5.06386399e-01f, -1.53511786e+00f, -6.38022852e+00f,
    -4.06163359e+00f, -7.39309847e-01f, -1.22372520e+00f, 2.57881069e+00f, -3.75589824e+00f, -1.77449858e+00f,
    3.90390563e+00f, 1.65709901e+00f, -4.50988340e+00f, 4.48743820e+00f, -4.33415318e+00f, -2.10646957e-01f,
    -5.07172871e+00f, 1.01195824e+00f, -4.36985731e+00f, -3.83578014e+00f, -2.65771127e+00f, 7.99056232e-01f,
    -1.28953075e+00f, 4.15955633e-01f, 2.66399813e+00f, 2.37594914e+00f, 1.35510147e+00f, -2.51101327e+00f,
    1.76186121e+00f, -1.61451089e+00f, -3.19547439e+00f, -4.25992298e+00f, 2.43921328e+00f, 3.08621240e+00f,
    -4.33570576e+00f, 1.97228479e+00f, 2.03319281e-01f, -1.76746464e+00f, 1.49996352e+00f, -3.45572352e-01f,
    2.62399524e-01f, 5.18138838e+00f, 2.80498385e+00f, 6.27119684e+00f, 4.44049060e-01f, -1.11680949e+00f,
    1.77657530e-01f, -3.78236222e+00f, -9.12855148e+00f, -1.08488059e+00f, -6.01595163e+00f, -1.97067642e+00f,
    6.18833661e-01f, 1.20031941e+00f, -3.25576156e-01f, 3.60880518e+00f, 2.32424164e+00f, -1.11497223e+00f,
    -2.69795716e-01f, -3.76143003e+00f, -1.07569838e+00f, -1.18143117e+00f, -3.16165662e+00f, 1.25033689e+00f,
    -5.48281550e-01f, -2.32496619e+00f, 2.60111499e+00f, -5.10486031e+00f, 7.44643450e-01f, 3.60436410e-01f,
    -3.85076463e-01f, 9.88844112e-02f, 3.76540732e+00f, -1.08532858e+00f, 7.21226215e-01f, 4.90171224e-01f,
    1.24982797e-01f, 2.04383516e+00f, 4.03049111e-01f, -5.65665627e+00f, -8.17454934e-01f, -1.27200103e+00f,
    1.36408675e+00f, -5.94418764e+00f, 4.40554559e-01f, -1.24841285e+00f, 1.96196809e-01f, 1.23327792e+00f,
    2.48022366e+00f, -3.09912395e+00f, 2.55870968e-01f, 4.05777979e+00f, -2.56457281e+00f, -4.69655454e-01f,
    -7.69046664e-01f, 2.02649403e+00f, 4.47809362e+00f, 2.23448515e-01f, -2.19867897e+00f, 8.78528893e-01f
};

static const float mnist_548_biases_8[10] = {
    4.25609827e+00f, 8.80701733e+00f, -8.96222591e-01f, -5.76728344e+00f, 3.65412378e+00f, -3.76250267e+00f,
    4.37855333e-01f, 1.36053336e+00f, -2.01255822e+00f, -1.93359005e+00f
};

/* A square convolution, perhaps depthwise, the sum with `added`, an activation with `slope` below zero, and the
 * largest of each pool x pool pixels. */
static void mnist_548_block(
    const float *in, float *out, const float *weights, const float *biases,
    const float *added,
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
                float sum = biases ? biases[channel] : 0;
                for (int32_t i = 0; i < read; i++) {
                    const float *maps = in + (depthwise ? channel : i) * side * side;
                    for (int32_t row = first_row; row < rows; row++) {
                        const float *weight = weights + (i * kernel + row) * kernel;
                        for (int32_t column = first; column < columns; column++)
                            sum += weight[column] * maps[(top + row) * side + left + column];
                    }
                }
                float result = sum;
                if (added)
                    result += added[(channel * own_side + y) * own_side + x];
                result = result < 0.0f ? result * slope : result;
                largest = part == 0 || result > largest ? result : largest;
            }
            *out++ = largest;
        }
        weights += read * kernel * kernel;
    }
}

/* Means over a grid x grid raster of windows, which overlap where the grid does not divide the side. */
static void mnist_548_average(
    const float *in, float *out, int32_t channels, int32_t side, int32_t grid)
{
    for (int32_t channel = 0; channel < channels; channel++) {
        for (int32_t window = 0; window < grid * grid; window++) {
            const int32_t i = window / grid, j = window % grid;
            const int32_t top = i * side / grid, bottom = ((i + 1) * side + grid - 1) / grid;
            const int32_t left = j * side / grid, right = ((j + 1) * side + grid - 1) / grid;
            float sum = 0;
            for (int32_t row = top; row < bottom; row++)
                for (int32_t column = left; column < right; column++)
                    sum += in[row * side + column];
            *out++ = sum / (float)((bottom - top) * (right - left));
        }
        in += side * side;
    }
}

static float mnist_548_product(const float *in, const float *weights, float sum, int32_t length)
{
    for (int32_t i = 0; i < length; i++)
        sum += weights[i] * in[i];
    return sum;
}

void mnist_548_classify(const float *image, float *scores, float *arena)
{
    /* conv 3x3 1-4 */
    mnist_548_block(image, arena, mnist_548_weights_0, mnist_548_biases_0, 0, 1.00000001e-01f, 0, 1, 1, 28, 4, 3, 0, 1);
    /* depthwise 3x3 4 */
    mnist_548_block(arena, arena + 2704, mnist_548_weights_1, 0, 0, 1.00000000e+00f, 1, 1, 4, 26, 4, 3, 0, 1);
    /* conv 1x1 4-6, max pooling 2x2 */
    mnist_548_block(arena + 2704, arena, mnist_548_weights_2, mnist_548_biases_2, 0, 1.00000001e-01f, 0, 1, 4, 24, 6, 1, 0, 2);
    /* depthwise 3x3 6 */
    mnist_548_block(arena, arena + 4408, mnist_548_weights_3, 0, 0, 1.00000000e+00f, 1, 1, 6, 12, 6, 3, 0, 1);
    /* conv 1x1 6-6 */
    mnist_548_block(arena + 4408, arena, mnist_548_weights_4, mnist_548_biases_4, 0, 1.00000001e-01f, 0, 1, 6, 10, 6, 1, 0, 1);
    /* depthwise 3x3 6 */
    mnist_548_block(arena, arena + 4624, mnist_548_weights_5, 0, 0, 1.00000000e+00f, 1, 1, 6, 10, 6, 3, 0, 1);
    /* conv 1x1 6-6, max pooling 2x2 */
    mnist_548_block(arena + 4624, arena, mnist_548_weights_6, mnist_548_biases_6, 0, 1.00000001e-01f, 0, 1, 6, 8, 6, 1, 0, 2);
    /* average pooling to 2x2 */
    mnist_548_average(arena, arena + 4984, 6, 4, 2);
    /* linear 24-10 */
    for (int32_t unit = 0; unit < 10; unit++) {
        const float sum = mnist_548_product(arena + 4984, mnist_548_weights_8 + unit * 24, mnist_548_biases_8[unit], 24);
        scores[unit] = sum;
    }
}

#ifdef MNIST_548_MAIN
#include <math.h>
#include <stdio.h>

/* The scores of an image of stripes, as PyTorch has them. */
static const float expected[10] = {
    5.68103790e-03f, -4.15635490e+00f, 6.53968573e-01f, -4.93921661e+00f, -3.02844286e+00f, -6.41123247e+00f,
    -2.17641449e+00f, -6.10478306e+00f, 1.76563978e+00f, -2.85927391e+00f
};

int main(void)
{
    static float image[784], arena[MNIST_548_ARENA];
    float scores[10], largest = 0.0f;
    for (int32_t i = 0; i < 784; i++)
        image[i] = (float)(uint8_t)(37 * i % 256) / 255.0f;
    mnist_548_classify(image, scores, arena);
    for (int32_t i = 0; i < 10; i++) {
        const float difference = fabsf(scores[i] - expected[i]);
        largest = difference > largest ? difference : largest;
        printf("%.9g\n", (double)scores[i]);
    }
    return largest <= 6.41123217e-04f ? 0 : 1;
}
#endif
