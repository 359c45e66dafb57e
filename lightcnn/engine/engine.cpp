// Training of small convolutional networks on one core. Needs nothing: compiled alone, called by ctypes.
//
// 16 images at a time go through the whole network, forward and backward; see convolution.h for how
// their maps lie in memory. The maps of the widest layer are never all there at once on the way back:
// bands of rows are made and used while they are in the caches. So it is with plain convolutions, each with
// ReLU; any other network goes layer by layer (layers.h), as far as a batch norm lets it.
#include <cmath>
#include <cstddef>
#include <memory>
#include <new>

#include "convolution.h"
#include "layers.h"
#include "resampling.h"

namespace {

// ---- a network -----------------------------------------------------------------------

struct Window {
    int start, stop;
};

// Windows of average pooling along one side, or none where the maps are flattened as they are.
struct AveragePool {
    std::vector<Window> windows;
    std::vector<Window> covering;  // by row or column: the windows that it lies in, which are neighbours
    int grid() const { return int(windows.size()); }
    float share(int i, int j) const {
        const auto length = [this](int w) { return windows[w].stop - windows[w].start; };
        return 1.0f / (length(i) * length(j));
    }
};

struct Linear {
    int inputs, units;
    size_t weights_at, biases_at;
    const Lanes* input;
    std::vector<Lanes> output, gradient;  // after ReLU unless it is the last; with respect to the output
    int columns;                          // `inputs` in sixteens, rounded up
    std::vector<Lanes> weight_sums;       // [unit][column], 16 neighbouring inputs each
};

struct Network {
    int classes = 0;
    size_t num_parameters = 0;
    Maps input;
    std::vector<Convolution> convolutions;  // or, in other networks:
    std::vector<Layer> layers;
    std::vector<Maps> inputs;  // of each group
    size_t num_statistics = 0;
    AveragePool pool;
    std::vector<Lanes> features, features_gradient;
    std::vector<Lanes> kept, dropped;  // where features are dropped: 0 or the gain of each, their products
    std::vector<Linear> linears;
    std::vector<float> gradient;
};

// A plan is a row of numbers: for each operation its kind, then what is said here.
enum Kind {
    INPUT = 0,        // channels, side
    CONVOLUTION = 1,  // channels, kernel size, padding
    MAX_POOL = 2,
    RELU = 3,
    AVERAGE_POOL = 4,  // grid, then start and stop of each window
    FLATTEN = 5,
    LINEAR = 6,  // units
    LAYER = 7,   // channels, kernel size, padding, stride, depthwise, biased, owner: a layer's number
    BATCH_NORM = 8,
    ADD = 9,  // number of the layer whose output is added, or IMAGE
    LEAKY_RELU = 10,
};
constexpr float LEAK = 0.1f;

class PlanReader {
    const int32_t *at, *end;

public:
    PlanReader(const int32_t* plan, int length) : at(plan), end(plan + length) {}
    bool done() const { return at == end; }
    int next() { return at < end ? *at++ : -1; }
    bool skip(Kind kind) {
        const bool found = at < end && *at == kind;
        at += found;
        return found;
    }
};

// Reads one convolution with what follows it. False: not a form that is known here.
bool add_convolution(Network& network, PlanReader& plan, int channels_in, int side_in) {
    Convolution layer;
    const int channels = plan.next();
    layer.kernel = plan.next(), layer.padding = plan.next();
    layer.pools = plan.skip(MAX_POOL);
    if (channels < 1 || layer.kernel < 1 || layer.padding < 0 || layer.padding >= layer.kernel)
        return false;
    if (!plan.skip(RELU)) return false;
    layer.side = side_in + 2 * layer.padding - layer.kernel + 1;
    const int side = layer.pools ? layer.side / 2 : layer.side;
    if (side < 1) return false;
    const size_t weights = size_t(channels) * channels_in * layer.kernel * layer.kernel;
    layer.weights_at = network.num_parameters;
    layer.biases_at = layer.weights_at + weights;
    network.num_parameters = layer.biases_at + channels;

    // So many rows at a time that their gradients, of some six channels, stay in a first cache of 32 KB.
    const int rows_a_step = layer.pools ? 2 : 1;
    layer.band = std::min(side, std::max(1, 56 / (layer.side * rows_a_step)));
    const bool is_first = network.convolutions.empty();
    layer.gradient = is_first ? Maps(channels, layer.band * rows_a_step, layer.side, 0)
                              : Maps(channels, layer.side, layer.side, layer.kernel - 1 - layer.padding);
    if (layer.pools) layer.winners.resize(size_t(channels) * side * side * IMAGES);
    layer.output = Maps(channels, side, side, 0);  // its border follows from the next layer
    layer.forward = {channels_in, channels, layer.kernel, std::vector<float>(weights)};
    layer.backward = {channels, channels_in, layer.kernel, std::vector<float>(weights)};
    layer.weight_sums.resize(weights), layer.bias_sums.resize(channels);
    network.convolutions.push_back(std::move(layer));
    return true;
}

// Reads one layer with what follows it.
bool add_layer(Network& network, PlanReader& plan, int channels_in, int side_in) {
    Layer layer;
    layer.channels_in = channels_in, layer.side_in = side_in;
    layer.channels = plan.next(), layer.kernel = plan.next(), layer.padding = plan.next();
    layer.stride = plan.next(), layer.depthwise = plan.next() == 1, layer.biased = plan.next() == 1;
    layer.owner = plan.next();
    layer.normed = plan.skip(BATCH_NORM);
    if (plan.skip(ADD)) layer.source = plan.next();
    layer.pools = plan.skip(MAX_POOL);
    layer.slope = plan.skip(RELU) ? 0.0f : plan.skip(LEAKY_RELU) ? LEAK : 1.0f;
    const int number = int(network.layers.size());
    if (layer.channels < 1 || layer.kernel < 1 || layer.padding < 0 || layer.padding >= layer.kernel ||
        layer.stride < 1 || layer.stride > 2 || layer.owner < 0 || layer.owner > number ||
        layer.source < NO_SUM || layer.source >= number || (layer.biased && layer.normed) ||
        (layer.depthwise && (layer.channels != channels_in || layer.biased)) ||
        side_in + 2 * layer.padding < layer.kernel)
        return false;
    layer.side = (side_in + 2 * layer.padding - layer.kernel) / layer.stride + 1;
    if (layer.side_out() < 1) return false;
    const size_t weights = size_t(layer.channels) * (layer.depthwise ? 1 : channels_in) * layer.taps();
    if (layer.owner < number) {
        const Layer& owner = network.layers[layer.owner];
        if (owner.weight_sums.size() != weights || owner.kernel != layer.kernel ||
            owner.channels != layer.channels || owner.biased != layer.biased ||
            owner.normed != layer.normed || owner.depthwise != layer.depthwise)
            return false;
        layer.weights_at = owner.weights_at, layer.biases_at = owner.biases_at;
    } else {
        layer.weights_at = network.num_parameters, layer.biases_at = layer.weights_at + weights;
        network.num_parameters = layer.biases_at + (layer.biased || layer.normed ? layer.channels : 0);
        const int in = layer.depthwise ? layer.channels : channels_in;
        layer.forward = {in, layer.channels, layer.kernel, std::vector<float>(weights)};
        layer.backward = {layer.channels, in, layer.kernel, std::vector<float>(weights)};
        layer.weight_sums.resize(weights), layer.bias_sums.resize(layer.channels);
    }
    if (layer.normed) {
        layer.statistics_at = network.num_statistics, network.num_statistics += 2 * layer.channels;
        for (auto* values : {&layer.origin, &layer.mean, &layer.inverse, &layer.share, &layer.slant})
            values->resize(layer.channels);
        for (auto* values :
             {&layer.first, &layer.second, &layer.settled_first, &layer.settled_second})
            values->resize(layer.channels);
    }
    if (layer.source >= 0) network.layers[layer.source].is_source = true;
    network.layers.push_back(std::move(layer));
    return true;
}

// Memory for so many groups, which have the same maps.
void hold_groups(Network& network, int number) {
    auto& layers = network.layers;
    while (int(network.inputs.size()) < number)
        network.inputs.emplace_back(network.input.channels, network.input.height, network.input.width,
                                    layers[0].padding);
    for (size_t i = 0; i < layers.size(); i++)
        while (int(layers[i].groups.size()) < number) {
            const Layer& layer = layers[i];
            const int side = layer.side, out = layer.side_out();
            const int padding = i + 1 < layers.size() ? layers[i + 1].padding : 0;
            GroupMaps maps;
            maps.output = Maps(layer.channels, out, out, padding);
            maps.output_gradient = Maps(layer.channels, out, out, 0);
            if (!layer.is_one_pass()) maps.raw = Maps(layer.channels, side, side, 0);
            const int undivided = layer.side_in + 2 * layer.padding - layer.kernel + 1;
            maps.gradient = Maps(layer.channels, undivided, undivided, layer.kernel - 1 - layer.padding);
            if (layer.pools) maps.winners.resize(size_t(layer.channels) * out * out * IMAGES);
            layers[i].groups.push_back(std::move(maps));
        }
}

bool add_head(Network& network, PlanReader& plan, const Maps& maps) {
    if (plan.skip(AVERAGE_POOL)) {
        network.pool.windows.resize(std::max(0, plan.next()));
        for (Window& window : network.pool.windows) {
            window.start = plan.next(), window.stop = plan.next();
            if (window.start < 0 || window.stop <= window.start || window.stop > maps.width)
                return false;
        }
        for (int x = 0; x < maps.width; x++) {
            const auto& windows = network.pool.windows;
            int start = 0;
            while (start < network.pool.grid() && windows[start].stop <= x) start++;
            int stop = start;
            while (stop < network.pool.grid() && windows[stop].start <= x) stop++;
            network.pool.covering.push_back({start, stop});
        }
    }
    if (!plan.skip(FLATTEN)) return false;
    const int grid = network.pool.windows.empty() ? maps.width : network.pool.grid();
    int inputs = maps.channels * grid * grid;
    network.features.resize(network.pool.windows.empty() ? 0 : inputs);
    network.features_gradient.resize(inputs);
    network.kept.resize(inputs), network.dropped.resize(inputs);
    while (plan.skip(LINEAR)) {
        Linear layer;
        layer.inputs = inputs, layer.units = plan.next();
        if (layer.units < 1) return false;
        layer.weights_at = network.num_parameters;
        layer.biases_at = layer.weights_at + size_t(inputs) * layer.units;
        network.num_parameters = layer.biases_at + layer.units;
        layer.columns = (inputs + IMAGES - 1) / IMAGES;
        layer.output.resize(layer.units), layer.gradient.resize(layer.units);
        layer.weight_sums.resize(size_t(layer.units) * layer.columns);
        inputs = layer.units;
        network.linears.push_back(std::move(layer));
        if (!plan.done() && !plan.skip(RELU)) return false;
    }
    network.classes = inputs;
    return plan.done() && !network.linears.empty();
}

// Convolutions, each perhaps with max pooling and always with ReLU, or layers; average pooling or not;
// flatten; linear layers with ReLU between them. Null: another form.
std::unique_ptr<Network> read_plan(PlanReader plan) {
    auto network = std::make_unique<Network>();
    if (!plan.skip(INPUT)) return nullptr;
    int channels = plan.next(), side = plan.next();
    if (channels < 1 || side < 1) return nullptr;
    const int image_channels = channels, image_side = side;
    while (plan.skip(CONVOLUTION)) {
        if (!add_convolution(*network, plan, channels, side)) return nullptr;
        const Maps& output = network->convolutions.back().output;
        channels = output.channels, side = output.width;
    }
    while (network->convolutions.empty() && plan.skip(LAYER)) {
        if (!add_layer(*network, plan, channels, side)) return nullptr;
        channels = network->layers.back().channels, side = network->layers.back().side_out();
    }
    if (!network->layers.empty()) {
        network->input = Maps(image_channels, image_side, image_side, 0);
        hold_groups(*network, 1);
        if (!add_head(*network, plan, network->layers.back().groups[0].output)) return nullptr;
        for (size_t i = 1; i < network->linears.size(); i++)
            network->linears[i].input = network->linears[i - 1].output.data();
        network->gradient.resize(network->num_parameters);
        return network;
    }
    if (network->convolutions.empty()) return nullptr;
    if (!add_head(*network, plan, network->convolutions.back().output)) return nullptr;

    // Only now that nothing moves any more: where each layer reads, with the border that it wants.
    auto& layers = network->convolutions;
    network->input = Maps(image_channels, image_side, image_side, layers[0].padding);
    layers[0].input = &network->input;
    for (size_t i = 1; i < layers.size(); i++) {
        Maps& maps = layers[i - 1].output;
        maps = Maps(maps.channels, maps.height, maps.width, layers[i].padding);
        layers[i].input = &maps;
    }
    for (size_t i = 1; i < network->linears.size(); i++)
        network->linears[i].input = network->linears[i - 1].output.data();
    network->gradient.resize(network->num_parameters);
    return network;
}

// ---- head ----------------------------------------------------------------------------

void pool_forward(const AveragePool& pool, const Maps& maps, std::vector<Lanes>& features) {
    Lanes* feature = features.data();
    for (int channel = 0; channel < maps.channels; channel++)
        for (int i = 0; i < pool.grid(); i++)
            for (int j = 0; j < pool.grid(); j++, feature++)
                for (int part = 0; part < PARTS; part++) {
                    Vector sum = {};
                    for (int y = pool.windows[i].start; y < pool.windows[i].stop; y++)
                        for (int x = pool.windows[j].start; x < pool.windows[j].stop; x++)
                            sum += maps.at(channel, y, x)[part];
                    feature->part[part] = sum * pool.share(i, j);
                }
}

// A mean's gradient is shared among what it is the mean of.
void scale_by_shares(const AveragePool& pool, std::vector<Lanes>& gradient) {
    const int grid = pool.grid();
    for (size_t f = 0; f < gradient.size(); f++)
        for (Vector& part : gradient[f].part) part = part * pool.share(f / grid % grid, f % grid);
}

// From the gradient of the features to that of the last convolution, for rows [from, to) of its output.
void head_gradient(const Network& network, Convolution& last, int from, int to) {
    const Maps& maps = last.output;
    const AveragePool& pool = network.pool;
    const bool flattened = pool.windows.empty();
    const int grid = flattened ? maps.width : pool.grid();
    for (int channel = 0; channel < maps.channels; channel++) {
        const Lanes* gradient = &network.features_gradient[size_t(channel) * grid * grid];
        for (int part = 0; part < PARTS; part++) {
            Vector sum = last.bias_sums[channel].part[part];
            for (int y = from; y < to; y++) {
                const PassBack pass_back(last, channel, y, part);
                Window before = {-1, -1};
                const Window rows = flattened ? Window{y, y + 1} : pool.covering[y];
                Vector value = {};
                for (int x = 0; x < maps.width; x++) {
                    const Window columns = flattened ? Window{x, x + 1} : pool.covering[x];
                    if (columns.start != before.start ||
                        columns.stop != before.stop) {  // else as its neighbour
                        value = Vector{};
                        for (int i = rows.start; i < rows.stop; i++)
                            for (int j = columns.start; j < columns.stop; j++)
                                value += gradient[i * grid + j].part[part];
                        before = columns;
                    }
                    sum += pass_back(x, value);
                }
            }
            last.bias_sums[channel].part[part] = sum;
        }
    }
}

template <int UNITS>
void units_forward(Linear& layer, const float* weights, const float* biases, int first, int part,
                   bool rectified) {
    Vector sums[UNITS];
    UNROLL for (int u = 0; u < UNITS; u++)
        sums[u] = all(biases[first + u]);
    for (int f = 0; f < layer.inputs; f++) {
        const Vector x = layer.input[f].part[part];
        UNROLL for (int u = 0; u < UNITS; u++)
            sums[u] = multiply_add(all(weights[size_t(first + u) * layer.inputs + f]), x, sums[u]);
    }
    UNROLL for (int u = 0; u < UNITS; u++)
        layer.output[first + u].part[part] = rectified ? relu(sums[u]) : sums[u];
}

void linear_forward(Linear& layer, const float* parameters, bool rectified) {
    for (int part = 0; part < PARTS; part++)
        in_blocks<6>(layer.units, [&](int first, auto size) {
            units_forward<size.value>(layer, parameters + layer.weights_at, parameters + layer.biases_at,
                                      first, part, rectified);
        });
}

template <int INPUTS>
void inputs_gradient(const Linear& layer, const float* weights, Lanes* gradient, int first, int part) {
    Vector sums[INPUTS] = {};
    for (int u = 0; u < layer.units; u++) {
        const Vector d = layer.gradient[u].part[part];
        const float* weight = weights + size_t(u) * layer.inputs + first;
        UNROLL for (int f = 0; f < INPUTS; f++)
            sums[f] = multiply_add(all(weight[f]), d, sums[f]);
    }
    UNROLL for (int f = 0; f < INPUTS; f++)
        gradient[first + f].part[part] = sums[f];
}

// Gradient with respect to the layer's inputs.
void linear_data_gradient(const Linear& layer, const float* parameters, Lanes* gradient) {
    for (int part = 0; part < PARTS; part++)
        in_blocks<6>(layer.inputs, [&](int first, auto size) {
            inputs_gradient<size.value>(layer, parameters + layer.weights_at, gradient, first, part);
        });
}

// Adds to the gradient of the weights. The inputs are turned around, inputs innermost, so that the sum
// over images goes along vectors and not across them.
void linear_weight_gradient(Linear& layer) {
    constexpr int CHUNK = 16;  // columns at a time: 16 KB turned around
    Lanes turned[IMAGES][CHUNK];
    for (int column = 0; column < layer.columns; column += CHUNK) {
        const int columns = std::min(CHUNK, layer.columns - column);
        const int inputs = std::min(columns * IMAGES, layer.inputs - column * IMAGES);
        const float* x = reinterpret_cast<const float*>(layer.input + size_t(column) * IMAGES);
        float* out = reinterpret_cast<float*>(turned);
        constexpr int step = CHUNK * IMAGES;
        for (int f = 0; f < inputs; f += 4)
            for (int image = 0; image < IMAGES; image += 4) {
                const float* in = x + f * IMAGES + image;
                if (f + 4 <= inputs)
                    transpose(in, in + IMAGES, in + 2 * IMAGES, in + 3 * IMAGES, out + image * step + f,
                              step);
                else
                    for (int i = 0; i < 4; i++)
                        for (int g = f; g < columns * IMAGES; g++)  // nothing is left unset
                            out[(image + i) * step + g] = g < inputs ? x[g * IMAGES + image + i] : 0;
            }
        for (int u = 0; u < layer.units; u++) {
            const Lanes& gradient = layer.gradient[u];
            Lanes* sums = &layer.weight_sums[size_t(u) * layer.columns + column];
            for (int c = 0; c < columns; c++)
                for (int part = 0; part < PARTS; part++) {
                    Vector sum = sums[c].part[part];
                    UNROLL for (int image = 0; image < IMAGES; image++)
                        sum = multiply_add(all(gradient[image]), turned[image][c].part[part], sum);
                    sums[c].part[part] = sum;
                }
        }
    }
}

// e^x for x <= 0, to about 1e-7; this file's own, so that no library's version of it matters.
INLINE Vector exponential(Vector x) {
    x = x < -87.0f ? all(-87.0f) : x;
    const Vector shift = all(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
    const Vector n = (multiply_add(x, all(1.44269504f), shift)) - shift;
    Vector r = multiply_add(n, all(-0.693359375f), x);
    r = multiply_add(n, all(2.12194440e-4f), r);
    Vector y = all(1.9875691500e-4f);
    for (float coefficient :
         {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 0.5f})
        y = multiply_add(y, r, all(coefficient));
    y = multiply_add(y, r * r, r) + 1.0f;
    const Integers power = (__builtin_convertvector(n, Integers) + 127) << 23;
    return y * reinterpret_cast<const Vector&>(power);
}

// Which of the images a group consists of: entries `order[at]` to `order[at + count - 1]`, or by number.
struct Group {
    const float* images;
    const int64_t *labels, *order;
    int64_t at;
    int count;
    const float* targets = nullptr;  // [image][class], what is learnt instead of the labels
    float temperature = 1;           // of softmax
    const uint8_t* kept = nullptr;   // [image][feature], 1 where dropout keeps it
    float gain = 1;                  // by which what is kept grows
    int64_t index(int image) const { return order ? order[at + image] : at + image; }
};

// Sum of the cross-entropies of a group. Makes the gradient of their mean over `batch` images. With a
// temperature T they are T^2 times those of softmax(scores / T).
double cross_entropy(Network& network, const Group& group, int64_t batch, int64_t* correct) {
    Linear& last = network.linears.back();
    const float temperature = group.temperature;
    Lanes top = last.output[0], sum = {}, share = {};
    for (int image = 0; image < group.count; image++) share[image] = temperature / batch;
    for (int part = 0; part < PARTS; part++) {
        for (const Lanes& score : last.output)
            top.part[part] = score.part[part] > top.part[part] ? score.part[part] : top.part[part];
        for (int c = 0; c < network.classes; c++)
            sum.part[part] += last.gradient[c].part[part] =
                exponential((last.output[c].part[part] - top.part[part]) / temperature);
        for (Lanes& gradient : last.gradient) gradient.part[part] = gradient.part[part] / sum.part[part];
    }
    double total = 0;
    for (int image = 0; image < group.count; image++) {
        if (group.targets) {
            const float* target = group.targets + group.index(image) * network.classes;
            for (int c = 0; c < network.classes; c++) {
                last.gradient[c][image] -= target[c];
                total += target[c] * (std::log(double(sum[image])) +
                                      (double(top[image]) - last.output[c][image]) / temperature);
            }
            continue;
        }
        const int label = int(group.labels[group.index(image)]);
        const float score = last.output[label][image];
        last.gradient[label][image] -= 1;
        total += std::log(double(sum[image])) + (double(top[image]) - score);
        bool right = score == top[image];  // of equal scores the first, as in PyTorch
        for (int c = 0; c < label; c++) right &= last.output[c][image] != top[image];
        if (correct) *correct += right;
    }
    for (Lanes& gradient : last.gradient)
        for (int part = 0; part < PARTS; part++)
            gradient.part[part] = gradient.part[part] * share.part[part];
    return total * temperature * temperature;
}

// ---- forward and backward ------------------------------------------------------------

// Images into `maps`. Those that a group lacks are copies of its first, whose gradient is zero.
void gather(Maps& maps, const Group& group) {
    const size_t pixels = size_t(maps.height) * maps.width, size = maps.channels * pixels;
    const float* image[IMAGES];
    for (int i = 0; i < IMAGES; i++)
        image[i] = group.images + size * group.index(i < group.count ? i : 0);
    for (int channel = 0; channel < maps.channels; channel++)
        for (int y = 0; y < maps.height; y++) {
            const size_t at = channel * pixels + size_t(y) * maps.width;
            float* out = reinterpret_cast<float*>(maps.at(channel, y, 0));
            for (int i = 0; i < IMAGES; i += 4) {
                const float *a = image[i] + at, *b = image[i + 1] + at, *c = image[i + 2] + at,
                            *d = image[i + 3] + at;
                int x = 0;
                for (; x + 4 <= maps.width; x += 4)
                    transpose(a + x, b + x, c + x, d + x, out + x * IMAGES + i, IMAGES);
                for (; x < maps.width; x++) {
                    float* pixel = out + x * IMAGES + i;
                    pixel[0] = a[x], pixel[1] = b[x], pixel[2] = c[x], pixel[3] = d[x];
                }
            }
        }
}

// Dropout (Srivastava et al., 2014): what of the features is kept, grown so that the mean stays the same.
const Lanes* drop(Network& network, const Group& group, const Lanes* features) {
    const size_t count = network.kept.size();
    for (int image = 0; image < IMAGES; image++) {
        const uint8_t* kept = group.kept + group.index(image < group.count ? image : 0) * count;
        for (size_t f = 0; f < count; f++) network.kept[f][image] = kept[f] ? group.gain : 0.0f;
    }
    for (size_t f = 0; f < count; f++)
        for (int part = 0; part < PARTS; part++)
            network.dropped[f].part[part] = features[f].part[part] * network.kept[f].part[part];
    return network.dropped.data();
}

void head_forward(Network& network, const Maps& maps, const Group& group, const float* parameters) {
    const Lanes* features = maps.values.data();
    if (!network.features.empty()) {
        pool_forward(network.pool, maps, network.features);
        features = network.features.data();
    }
    network.linears[0].input = group.kept ? drop(network, group, features) : features;
    for (Linear& layer : network.linears)
        linear_forward(layer, parameters, &layer != &network.linears.back());
}

void forward(Network& network, const Group& group, const float* parameters) {
    for (Convolution& layer : network.convolutions) forward(layer, parameters);
    head_forward(network, network.convolutions.back().output, group, parameters);
}

// To the gradient of the features, which those of the maps are shares of.
void head_backward(Network& network, const Group& group, const float* parameters) {
    for (size_t i = network.linears.size(); i-- > 0;) {
        linear_weight_gradient(network.linears[i]);
        Lanes* gradient =
            i > 0 ? network.linears[i - 1].gradient.data() : network.features_gradient.data();
        linear_data_gradient(network.linears[i], parameters, gradient);
        if (i == 0) break;
        Linear& before = network.linears[i - 1];
        for (int u = 0; u < before.units; u++)
            for (int part = 0; part < PARTS; part++)
                gradient[u].part[part] =
                    before.output[u].part[part] > 0.0f ? gradient[u].part[part] : Vector{};
    }
    for (size_t f = 0; group.kept && f < network.kept.size(); f++)
        for (int part = 0; part < PARTS; part++)
            network.features_gradient[f].part[part] =
                network.features_gradient[f].part[part] * network.kept[f].part[part];
    if (!network.pool.windows.empty()) scale_by_shares(network.pool, network.features_gradient);
}

void backward(Network& network, const Group& group, const float* parameters) {
    head_backward(network, group, parameters);
    auto& layers = network.convolutions;
    for (size_t i = layers.size(); i-- > 0;)
        for (int from = 0; from < layers[i].output.height; from += layers[i].band) {
            const int to = std::min(layers[i].output.height, from + layers[i].band);
            if (i == 0) layers[i].top = from * (layers[i].pools ? 2 : 1);
            if (i + 1 == layers.size())
                head_gradient(network, layers[i], from, to);
            else
                data_gradient(layers[i + 1], layers[i], from, to);
            weight_gradient(layers[i], from, to);
        }
}

void arrange(Filter& forward, Filter& backward, const float* weight) {
    const int in = forward.channels_in, out = forward.channels_out, taps = forward.kernel * forward.kernel;
    for (int o = 0; o < out; o++)
        for (int i = 0; i < in; i++)
            for (int tap = 0; tap < taps; tap++, weight++) {
                forward.weights[(size_t(i) * taps + tap) * out + o] = *weight;
                backward.weights[(size_t(o) * taps + taps - 1 - tap) * in + i] = *weight;
            }
}

// Weights as the inner loops read them.
void arrange_filters(Network& network, const float* parameters) {
    for (Convolution& layer : network.convolutions)
        arrange(layer.forward, layer.backward, parameters + layer.weights_at);
    for (Layer& layer : network.layers) {
        const float* weights = parameters + layer.weights_at;
        if (!layer.depthwise) {
            arrange(layer.forward, layer.backward, weights);
            continue;
        }
        const size_t taps = layer.taps(), count = layer.forward.weights.size();  // none but of an owner
        for (size_t i = 0; i < count; i++) {
            layer.forward.weights[i] = weights[i];
            layer.backward.weights[i / taps * taps + taps - 1 - i % taps] = weights[i];
        }
    }
}

float sum_of_images(const Lanes& lanes) {
    float sums[8];
    for (int i = 0; i < 8; i++) sums[i] = lanes[i] + lanes[i + 8];
    for (int i = 0; i < 4; i++) sums[i] += sums[i + 4];
    return (sums[0] + sums[2]) + (sums[1] + sums[3]);
}

// What the groups of a batch added up becomes the gradient of each parameter, and the sums are zero
// again.
void collect_gradient(Network& network) {
    for (Convolution& layer : network.convolutions) {
        for (size_t i = 0; i < layer.weight_sums.size(); i++)
            network.gradient[layer.weights_at + i] = sum_of_images(layer.weight_sums[i]);
        for (size_t i = 0; i < layer.bias_sums.size(); i++)
            network.gradient[layer.biases_at + i] = sum_of_images(layer.bias_sums[i]);
        std::fill(layer.weight_sums.begin(), layer.weight_sums.end(), Lanes{});
        std::fill(layer.bias_sums.begin(), layer.bias_sums.end(), Lanes{});
    }
    for (Layer& layer : network.layers) {
        for (size_t i = 0; i < layer.weight_sums.size(); i++)
            network.gradient[layer.weights_at + i] = sum_of_images(layer.weight_sums[i]);
        if (layer.biased || layer.normed)
            for (size_t i = 0; i < layer.bias_sums.size(); i++)
                network.gradient[layer.biases_at + i] = float(layer.bias_sums[i]);
        std::fill(layer.weight_sums.begin(), layer.weight_sums.end(), Lanes{});
        std::fill(layer.bias_sums.begin(), layer.bias_sums.end(), 0.0);
    }
    for (Linear& layer : network.linears) {
        float* out = &network.gradient[layer.weights_at];
        for (int u = 0; u < layer.units; u++)
            for (int f = 0; f < layer.inputs; f++)
                *out++ = layer.weight_sums[size_t(u) * layer.columns + f / IMAGES][f % IMAGES];
        std::fill(layer.weight_sums.begin(), layer.weight_sums.end(), Lanes{});
    }
}

// ---- layer by layer ------------------------------------------------------------------

// Where a batch norm stands, all groups wait for the last of them; up to there, one goes as far as it can.

const Maps* added_maps(const Network& network, const Layer& layer, int group) {
    if (layer.source == NO_SUM) return nullptr;
    return layer.source == IMAGE ? &network.inputs[group]
                                 : &network.layers[layer.source].groups[group].output;
}

// A group from layer `from` on, whose input is there: to the first batch norm, where it waits for the others,
// or to the end, where `waits` is null or there is none.
void forward_group(Network& network, const float* parameters, int from, int group, const Valid* waits) {
    for (int i = from; i < int(network.layers.size()); i++) {
        Layer& layer = network.layers[i];
        const Maps& in = i > 0 ? network.layers[i - 1].groups[group].output : network.inputs[group];
        const Maps* added = added_maps(network, layer, group);
        convolve(layer, network.layers[layer.owner], in, parameters, group);
        if (layer.normed && waits) return add_moments(layer, group, *waits);
        finish(layer, added, parameters, group);
    }
}

// A group from the gradient of layer `from`'s output back to the next layer whose norm waits; or, where that
// of `from` has `waited`, from there on. Returns that layer, or -1 when the first is done.
int backward_group(Network& network, const float* parameters, int from, int group, const Valid& valid,
                   bool waited) {
    for (int i = from; i >= 0; i--, waited = false) {
        Layer& layer = network.layers[i];
        Layer& owner = network.layers[layer.owner];
        if (!waited) {
            Maps* source =
                layer.source < 0 ? nullptr : &network.layers[layer.source].groups[group].output_gradient;
            if (i == from || !layer.is_bare()) unfinish(layer, owner, source, parameters, group, valid);
            if (layer.normed) return i;
        } else {
            pass_norm_back(layer, group, valid);
        }
        const Maps& in = i > 0 ? network.layers[i - 1].groups[group].output : network.inputs[group];
        add_weight_gradient(layer, owner, in, group);
        if (i > 0) pass_back(layer, owner, network.layers[i - 1], group);
    }
    return -1;
}

// From the gradient of the features to that of the last layer's output.
void spread_gradient(const Network& network, Maps& maps) {
    const AveragePool& pool = network.pool;
    const bool flattened = pool.windows.empty();
    const int grid = flattened ? maps.width : pool.grid();
    for (int channel = 0; channel < maps.channels; channel++) {
        const Lanes* gradient = &network.features_gradient[size_t(channel) * grid * grid];
        for (int y = 0; y < maps.height; y++)
            for (int x = 0; x < maps.width; x++) {
                const Window rows = flattened ? Window{y, y + 1} : pool.covering[y];
                const Window columns = flattened ? Window{x, x + 1} : pool.covering[x];
                for (int part = 0; part < PARTS; part++) {
                    Vector value = {};
                    for (int i = rows.start; i < rows.stop; i++)
                        for (int j = columns.start; j < columns.stop; j++)
                            value += gradient[i * grid + j].part[part];
                    maps.at(channel, y, x)[part] = value;
                }
            }
    }
}

// A group from the last layer's output to the gradient of it. Returns the sum of the losses.
double turn_group(Network& network, const Group& group, int number, int batch, const float* parameters) {
    GroupMaps& last = network.layers.back().groups[number];
    head_forward(network, last.output, group, parameters);
    const double loss = cross_entropy(network, group, batch, nullptr);
    head_backward(network, group, parameters);
    for (Linear& layer : network.linears)
        for (int u = 0; u < layer.units; u++)
            network.gradient[layer.biases_at + u] += sum_of_images(layer.gradient[u]);
    spread_gradient(network, last.output_gradient);
    return loss;
}

// The group that is there, through layers and head.
void measure_group(Network& network, const Group& group, const float* parameters) {
    forward_group(network, parameters, 0, 0, nullptr);
    head_forward(network, network.layers.back().groups[0].output, group, parameters);
}

Group part_of(const Group& batch, int number) {
    Group group = batch;
    group.at += number * IMAGES, group.count = std::min(IMAGES, batch.count - number * IMAGES);
    return group;
}

// A group that has waited at layer `waiting`, from there on.
void resume_group(Network& network, const float* parameters, int waiting, int group, const Valid* waits) {
    if (waiting >= 0) {
        Layer& layer = network.layers[waiting];
        finish(layer, added_maps(network, layer, group), parameters, group);
    }
    forward_group(network, parameters, waiting + 1, group, waits);
}

// All groups of a batch to the last batch norm, whose layer is returned; they still wait there.
int forward_norms(Network& network, const Group& batch, const float* parameters) {
    const int num_groups = (batch.count + IMAGES - 1) / IMAGES;
    for (int g = 0; g < num_groups; g++) gather(network.inputs[g], part_of(batch, g));
    int waiting = -1;
    for (int i = 0; i < int(network.layers.size()); i++) {
        if (!network.layers[i].normed) continue;
        for (int g = 0; g < num_groups; g++) {
            const Valid valid(part_of(batch, g).count);
            resume_group(network, parameters, waiting, g, &valid);
        }
        take_moments(network.layers[i], batch.count);
        waiting = i;
    }
    return waiting;
}

// Sum of the losses of a batch.
double turn_batch(Network& network, const Group& batch, const float* parameters) {
    const int num_groups = (batch.count + IMAGES - 1) / IMAGES;
    const bool waits = network.num_statistics > 0;  // else one group after the other, in the same memory
    hold_groups(network, waits ? num_groups : 1);
    int waiting = waits ? forward_norms(network, batch, parameters) : -1;
    const int last = int(network.layers.size()) - 1, last_norm = waiting;
    double total = 0;
    for (int g = 0; g < num_groups; g++) {
        const Group group = part_of(batch, g);
        const Valid valid(group.count);
        const int held = waits ? g : 0;
        if (!waits) gather(network.inputs[held], group);
        resume_group(network, parameters, last_norm, held, nullptr);
        total += turn_group(network, group, held, batch.count, parameters);
        waiting = backward_group(network, parameters, last, held, valid, false);
    }
    while (waiting >= 0) {
        const int from = waiting;
        take_gradient_moments(network.layers[from], batch.count);
        for (int g = 0; g < num_groups; g++)
            waiting = backward_group(network, parameters, from, g, Valid(part_of(batch, g).count), true);
    }
    return total;
}

// What batch norms measure with: the mean of the statistics of `num_batches` batches, as each is normed by its
// own.
void settle(Network& network, const Group& images, int batch, int64_t num_batches, const float* parameters,
            float* statistics) {
    arrange_filters(network, parameters);
    const auto clear = [&network] {
        for (Layer& layer : network.layers)
            for (auto* values : {&layer.settled_first, &layer.settled_second})
                std::fill(values->begin(), values->end(), 0.0);
    };
    clear();
    for (int64_t i = 0; i < num_batches; i++) {
        Group group = images;
        group.at += i * batch, group.count = int(std::min<int64_t>(batch, images.count - i * batch));
        hold_groups(network, (group.count + IMAGES - 1) / IMAGES);
        forward_norms(network, group, parameters);
    }
    for (const Layer& layer : network.layers)
        for (int channel = 0; layer.normed && channel < layer.channels; channel++) {
            const double mean = layer.settled_first[channel] / num_batches;
            const double square = layer.settled_second[channel] / num_batches;
            statistics[layer.statistics_at + channel] = float(mean);
            statistics[layer.statistics_at + layer.channels + channel] =
                float(std::max(square - mean * mean, 0.0));
        }
}

// Makes batch norms measure with `statistics`.
void use_statistics(Network& network, const float* statistics) {
    for (Layer& layer : network.layers)
        for (int channel = 0; layer.normed && channel < layer.channels; channel++) {
            const float* mean = statistics + layer.statistics_at + channel;
            layer.mean[channel] = mean[0];
            layer.inverse[channel] = float(1 / std::sqrt(double(mean[layer.channels]) + EPSILON));
        }
}

// Mean loss of a batch, given as a group of any size; leaves the gradient in network.gradient.
double loss_and_gradient(Network& network, Group batch, const float* parameters) {
    arrange_filters(network, parameters);
    for (Linear& layer : network.linears)
        std::fill_n(&network.gradient[layer.biases_at], layer.units, 0.0f);
    double total = network.layers.empty() ? 0 : turn_batch(network, batch, parameters);
    for (int done = 0; network.layers.empty() && done < batch.count; done += IMAGES) {
        Group group = batch;
        group.at += done, group.count = std::min(IMAGES, batch.count - done);
        gather(network.input, group);
        forward(network, group, parameters);
        total += cross_entropy(network, group, batch.count, nullptr);
        backward(network, group, parameters);
        for (Linear& layer : network.linears)
            for (int u = 0; u < layer.units; u++)
                network.gradient[layer.biases_at + u] += sum_of_images(layer.gradient[u]);
    }
    collect_gradient(network);
    return total / batch.count;
}

// As torch.optim.AdamW with its defaults, but for the decay. `step` counts from 1.
void adam_step(const std::vector<float>& gradient, double rate, double weight_decay, int64_t step,
               float* __restrict parameters, float* __restrict first_moments,
               float* __restrict second_moments) {
    const float size = float(rate / (1 - std::pow(0.9, double(step))));
    const float root = float(std::sqrt(1 - std::pow(0.999, double(step))));
    const float kept = float(1 - rate * weight_decay);
    const float* __restrict g = gradient.data();
    const size_t count = gradient.size();
    for (size_t i = 0; i < count; i++) {
        first_moments[i] = first_moments[i] + 0.1f * (g[i] - first_moments[i]);
        second_moments[i] = 0.999f * second_moments[i] + 0.001f * g[i] * g[i];
        parameters[i] = parameters[i] * kept -
                        size * first_moments[i] / (std::sqrt(second_moments[i]) / root + 1e-8f);
    }
}

}  // namespace

// ---- what Python calls --------------------------------------------------------------
// images: [image][channel][row][column]; labels: from 0 to the number of classes less 1, which is not looked
// at again; targets: [image][class], to be learnt instead of the labels, or null; kept: [image][feature], 1
// where the first linear layer sees it, `gain` times, or null: it sees all as they are. Parameters, moments
// and gradients lie one after the other as in PyTorch: of each layer its weights, then its biases, or its
// batch norm's shifts. Statistics: of each batch norm means, then variances.

#pragma GCC visibility push(default)
extern "C" {

// Null: a plan of another form, or no memory.
void* network_create(const int32_t* plan, int32_t length) try {
    return read_plan(PlanReader(plan, length)).release();
} catch (const std::bad_alloc&) {
    return nullptr;
}

void network_free(void* network) { delete static_cast<Network*>(network); }

int64_t network_num_parameters(void* network) {
    return int64_t(static_cast<Network*>(network)->num_parameters);
}

int64_t network_num_statistics(void* network) {
    return int64_t(static_cast<Network*>(network)->num_statistics);
}

// Returns the mean loss of the first `count` images.
double network_gradient(void* handle, const float* images, const int64_t* labels, const float* targets,
                        float temperature, const uint8_t* kept, float gain, int32_t count,
                        const float* parameters, float* gradient) {
    FlushDenormals flush;
    Network& network = *static_cast<Network*>(handle);
    const Group batch{images, labels, nullptr, 0, count, targets, temperature, kept, gain};
    const double loss = loss_and_gradient(network, batch, parameters);
    std::copy(network.gradient.begin(), network.gradient.end(), gradient);
    return loss;
}

// One epoch: Adam over the images of `order`, `batch` at a time, with a rate for each step. Returns the
// mean of the batches' losses, as they were met. `averages`, or null: running means of the parameters, of
// which each step keeps `averaging`. Batch norms' statistics are those of the first `settling_batches` of
// `settling_images` with the parameters at the end, or with their running means.
double network_train(void* handle, const float* images, const int64_t* labels, const float* targets,
                     float temperature, const uint8_t* kept, float gain, const int64_t* order,
                     int64_t count, int32_t batch, const double* rates, double weight_decay,
                     double averaging, int64_t steps_before, const float* settling_images,
                     int64_t settling_batches, float* parameters, float* first_moments,
                     float* second_moments, float* averages, float* statistics) {
    FlushDenormals flush;
    Network& network = *static_cast<Network*>(handle);
    const float share = float(1 - averaging);
    double total = 0;
    int64_t steps = 0;
    for (int64_t at = 0; at < count; at += batch, steps++) {
        const int size = int(std::min<int64_t>(batch, count - at));
        const Group group{images, labels, order, at, size, targets, temperature, kept, gain};
        total += loss_and_gradient(network, group, parameters);
        adam_step(network.gradient, rates[steps], weight_decay, steps_before + steps + 1, parameters,
                  first_moments, second_moments);
        for (size_t i = 0; averages && i < network.num_parameters; i++)
            averages[i] += share * (parameters[i] - averages[i]);
    }
    if (network.num_statistics > 0)
        settle(network, {settling_images, labels, order, 0, int(count)}, batch, settling_batches,
               averages ? averages : parameters, statistics);
    return total / steps;
}

// Returns how many of the images are classified correctly; *loss: their mean cross-entropy. `scores`, or
// null: [image][class].
int64_t network_measure(void* handle, const float* images, const int64_t* labels, int64_t count,
                        const float* parameters, const float* statistics, double* loss, float* scores) {
    FlushDenormals flush;
    Network& network = *static_cast<Network*>(handle);
    arrange_filters(network, parameters);
    use_statistics(network, statistics);
    int64_t correct = 0;
    double total = 0;
    for (int64_t at = 0; at < count; at += IMAGES) {
        const Group group{images, labels, nullptr, at, int(std::min<int64_t>(IMAGES, count - at))};
        gather(network.layers.empty() ? network.input : network.inputs[0], group);
        if (network.layers.empty())
            forward(network, group, parameters);
        else
            measure_group(network, group, parameters);
        total += cross_entropy(network, group, group.count, &correct);
        for (int image = 0; scores && image < group.count; image++)
            for (const Lanes& score : network.linears.back().output) *scores++ = score[image];
    }
    *loss = total / count;
    return correct;
}

// Copies of images of `side` by `side` pixels, each read where its map says; see resampling.h.
void resample_images(const float* images, int64_t count, int32_t channels, int32_t side, const float* maps,
                     float* copies) {
    FlushDenormals flush;
    resample(images, count, channels, side, maps, copies);
}
}
