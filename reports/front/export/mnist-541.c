/* 4vbn-4vbx2n-2svbd-3svb-pool3, float32. Written by search.export.
 * Compiled with -DMNIST_541_MAIN it is a program that tests itself. */
#include "mnist-541.h"

static const float mnist_541_weights_0[36] = {
    5.60989864e-02f, -1.75455678e+00f, -1.00776660e+00f, -1.40288815e-01f, -8.67346346e-01f, 1.14059243e-02f,
    1.80319142e+00f, 1.14213645e+00f, 1.45114470e+00f, -1.58542204e+00f, -2.52553016e-01f, 6.90756857e-01f,
    1.34017491e+00f, -2.45338249e+00f, 4.49742222e+00f, 7.27706194e-01f, 1.62150845e-01f, -1.05616987e+00f,
    -1.70798406e-01f, 7.23627090e-01f, -1.71224713e+00f, 2.21046805e+00f, 4.01237488e-01f, -1.14050567e+00f,
    6.89308286e-01f, 7.51679718e-01f, 2.26029437e-02f, 9.50807452e-01f, 8.65941286e-01f, -4.11821604e-01f,
    8.89811218e-01f, -1.66217297e-01f, -1.91652572e+00f, -3.79629403e-01f, -1.35292971e+00f, -2.17101067e-01f
};

static const float mnist_541_biases_0[4] = {
    1.03365565e-02f, 1.41617370e+00f, 1.07678235e-01f, 3.14066678e-01f
};

static const float mnist_541_weights_1[144] = {
    -3.83592187e-03f, 1.57771245e-01f, -5.28180122e-01f, 4.56479371e-01f, -5.66340648e-02f, -1.51688144e-01f,
    1.52280763e-01f, 1.31968260e-01f, 1.39446631e-01f, -2.59026080e-01f, -7.65514821e-02f, -3.05604666e-01f,
    2.89980203e-01f, -3.45841557e-01f, -2.28897914e-01f, 2.57485956e-01f, 1.05365999e-01f, 1.70341209e-02f,
    2.42241442e-01f, 1.69440702e-01f, 1.80959597e-01f, -2.91283190e-01f, 9.16894749e-02f, -5.43559790e-01f,
    -2.47965559e-01f, -9.42612737e-02f, -1.48725107e-01f, 4.17546660e-01f, -4.04649451e-02f, 3.46222788e-01f,
    -2.31885046e-01f, 1.20214529e-01f, -4.45179254e-01f, 3.28124136e-01f, 2.02764884e-01f, -1.95270121e-01f,
    -4.48250882e-02f, 2.69385010e-01f, 3.19995403e-01f, -1.58254817e-01f, -3.63411196e-02f, 4.15890627e-02f,
    -4.23897952e-01f, -4.22521144e-01f, -2.47451887e-01f, 9.75115076e-02f, 2.92200595e-01f, -1.16792627e-01f,
    -2.32936572e-02f, -1.49580806e-01f, 6.13920055e-02f, -9.06186625e-02f, -1.44566074e-01f, -5.27614579e-02f,
    -9.40777138e-02f, -2.37781052e-02f, 2.96978503e-02f, -3.59993666e-01f, -4.18223947e-01f, 8.48687962e-02f,
    8.29881132e-01f, 4.60250318e-01f, 5.17505229e-01f, -3.00896168e-01f, -1.92451123e-02f, -3.64813674e-03f,
    2.10826352e-01f, 6.38075545e-02f, -4.17665541e-02f, 1.52995139e-01f, 1.47034377e-01f, -6.43240660e-02f,
    -1.88395888e-01f, 9.83052030e-02f, -1.13587208e-01f, -2.96885401e-01f, -2.27857322e-01f, -1.51158288e-01f,
    2.48194769e-01f, -6.51890263e-02f, -8.82231593e-02f, 9.47122946e-02f, 1.92411635e-02f, 1.17094971e-01f,
    -2.92736292e-02f, 1.10523380e-01f, 3.12199201e-02f, 1.05642036e-01f, -2.09954247e-01f, -2.22777352e-01f,
    -7.17682466e-02f, 2.00811610e-01f, 2.93419212e-02f, -2.08856389e-01f, 1.49007812e-01f, 1.70777142e-02f,
    1.07627921e-01f, -2.79347509e-01f, -4.49132472e-01f, 2.29594111e-01f, 1.70531720e-01f, -4.11186144e-02f,
    -2.15439543e-01f, -1.75300151e-01f, 9.27338302e-02f, -2.01248661e-01f, -3.89581770e-01f, 1.39989838e-01f,
    -8.46212804e-02f, -1.06035009e-01f, 2.42311612e-01f, 2.56046921e-01f, -1.10434592e-01f, 1.82319030e-01f,
    2.48626657e-02f, 2.65260726e-01f, 3.43653858e-02f, -2.58367360e-01f, -2.73385295e-03f, 1.66398942e-01f,
    -2.04184234e-01f, -9.60809216e-02f, -6.56509399e-02f, -1.38803516e-02f, -3.83315608e-02f,
    -1.43204391e-01f, -1.83246974e-02f, 2.42005467e-01f, 3.39433491e-01f, 1.23235725e-01f, 1.70164689e-01f,
    5.99542439e-01f, 8.89165103e-02f, 1.05834648e-01f, -4.23144192e-01f, -2.05745567e-02f, 6.28961399e-02f,
    -2.20817029e-01f, -1.05012655e-01f, -7.17922524e-02f, 6.14911541e-02f, -1.32723292e-02f, -1.98320253e-03f,
    1.31963089e-01f
};

static const float mnist_541_biases_1[4] = {
    9.47364569e-01f, -3.99682522e-02f, 1.48913249e-01f, 3.96853626e-01f
};

static const float mnist_541_weights_2[144] = {
    -5.14953071e-03f, 2.11799905e-01f, -7.09055066e-01f, 6.12800419e-01f, -7.60283619e-02f, -2.03633651e-01f,
    2.04429209e-01f, 1.77160710e-01f, 1.87200040e-01f, -3.47729415e-01f, -1.02766484e-01f, -4.10258770e-01f,
    3.89283746e-01f, -4.64274734e-01f, -3.07283849e-01f, 3.45661849e-01f, 1.41448513e-01f, 2.28674430e-02f,
    3.25196862e-01f, 2.27465555e-01f, 2.42929086e-01f, -3.91032934e-01f, 1.23088479e-01f, -7.29701459e-01f,
    -3.32881212e-01f, -1.26540989e-01f, -1.99655905e-01f, 5.60535252e-01f, -5.43221384e-02f, 4.64786559e-01f,
    -3.11293930e-01f, 1.61381915e-01f, -5.97630620e-01f, 4.40490037e-01f, 2.72201568e-01f, -2.62140244e-01f,
    -8.18547234e-02f, 4.91921753e-01f, 5.84340990e-01f, -2.88987815e-01f, -6.63622171e-02f, 7.59454444e-02f,
    -7.74076581e-01f, -7.71562338e-01f, -4.51869845e-01f, 1.78064957e-01f, 5.33585131e-01f, -2.13274062e-01f,
    -4.25363556e-02f, -2.73148268e-01f, 1.12107433e-01f, -1.65477991e-01f, -2.63990909e-01f, -9.63472649e-02f,
    -1.71794549e-01f, -4.34210002e-02f, 5.42309992e-02f, -6.57381475e-01f, -7.63715327e-01f, 1.54978201e-01f,
    1.51543915e+00f, 8.40459287e-01f, 9.45012033e-01f, -5.49464047e-01f, -3.51433381e-02f, -6.66183233e-03f,
    3.84988248e-01f, 1.16518453e-01f, -7.62695596e-02f, 2.79383153e-01f, 2.68498272e-01f, -1.17461644e-01f,
    -2.99202532e-01f, 1.56124249e-01f, -1.80394500e-01f, -4.71501082e-01f, -3.61873567e-01f, -2.40063339e-01f,
    3.94172668e-01f, -1.03530511e-01f, -1.40112370e-01f, 1.50418147e-01f, 3.05580199e-02f, 1.85965389e-01f,
    -4.64911647e-02f, 1.75528660e-01f, 4.95821834e-02f, 1.67776302e-01f, -3.33440661e-01f, -3.53805751e-01f,
    -1.13979355e-01f, 3.18920672e-01f, 4.65996228e-02f, -3.31697077e-01f, 2.36648053e-01f, 2.71221176e-02f,
    1.70930207e-01f, -4.43648160e-01f, -7.13293612e-01f, 3.64631861e-01f, 2.70831406e-01f, -6.53028786e-02f,
    -3.42152148e-01f, -2.78404444e-01f, 1.47276029e-01f, -3.19614768e-01f, -6.18717670e-01f, 2.22326055e-01f,
    -1.46608427e-01f, -1.83708236e-01f, 4.19810772e-01f, 4.43607509e-01f, -1.91330627e-01f, 3.15872163e-01f,
    4.30751741e-02f, 4.59570676e-01f, 5.95388673e-02f, -4.47627753e-01f, -4.73646680e-03f, 2.88290232e-01f,
    -3.53754163e-01f, -1.66462541e-01f, -1.13741845e-01f, -2.40480453e-02f, -6.64103627e-02f,
    -2.48105094e-01f, -3.17479856e-02f, 4.19280350e-01f, 5.88076770e-01f, 2.13508889e-01f, 2.94814467e-01f,
    1.03872180e+00f, 1.54050007e-01f, 1.83361098e-01f, -7.33107626e-01f, -3.56459208e-02f, 1.08969092e-01f,
    -3.82570893e-01f, -1.81936979e-01f, -1.24381825e-01f, 1.06534921e-01f, -2.29946338e-02f, -3.43594654e-03f,
    2.28629261e-01f
};

static const float mnist_541_biases_2[4] = {
    -1.77442998e-01f, 4.17683750e-01f, 1.99028552e-01f, 1.87095955e-01f
};

static const float mnist_541_weights_3[36] = {
    5.46095550e-01f, 1.68142712e+00f, -2.75363135e+00f, -3.51424694e+00f, -1.01036572e+00f, -1.99866199e+00f,
    -3.66412973e+00f, -4.14937830e+00f, -4.23177481e+00f, -1.27187574e+00f, -1.61489320e+00f,
    -4.42459440e+00f, -5.12496996e+00f, -3.71498752e+00f, -2.35893798e+00f, -3.61976981e+00f,
    -2.89991832e+00f, 5.46492040e-01f, 4.26118946e+00f, 4.56310129e+00f, 1.10740185e+00f, 4.70253801e+00f,
    4.91957903e+00f, 5.82792282e+00f, 2.58535695e+00f, 3.88156199e+00f, 4.37555885e+00f, -3.36838484e-01f,
    2.03545839e-02f, 1.89905095e+00f, 1.99096322e-01f, 9.11640406e-01f, 4.81333590e+00f, -1.72619545e+00f,
    5.18941689e+00f, 9.39331150e+00f
};

static const float mnist_541_weights_4[8] = {
    2.70929504e-02f, 2.36414862e-03f, 1.05548978e-01f, -6.33995980e-02f, 6.44153357e-02f, -8.43435302e-02f,
    3.85831483e-03f, 7.55716264e-02f
};

static const float mnist_541_biases_4[2] = {
    1.39626384e+00f, -4.01469022e-01f
};

static const float mnist_541_weights_5[18] = {
    8.92912579e+00f, 1.22886038e+00f, 2.48731399e+00f, 3.88681340e+00f, -6.14931464e-01f, 7.49260426e+00f,
    -3.36823761e-01f, -1.86802435e+00f, 1.45304370e+00f, 3.74476862e+00f, -7.93507099e-01f, -3.88590622e+00f,
    2.71484208e+00f, -1.22888947e+00f, -6.25418139e+00f, -5.07971907e+00f, -2.52856112e+00f, -2.28264618e+00f
};

static const float mnist_541_weights_6[6] = {
    5.12658916e-02f, -3.98827791e-02f, 2.99131367e-02f, 6.40969053e-02f, -6.04099259e-02f, -1.08322809e-02f
};

static const float mnist_541_biases_6[3] = {
    -9.76942897e-01f, 3.67362946e-01f, 1.22426856e+00f
};

static const float mnist_541_weights_8[270] = {
    -1.85828769e+00f, -1.02243662e+00f, 2.87947464e+00f, -1.31011713e+00f, 1.11771989e+00f, -2.67805862e+00f,
    2.12998557e+00f, -2.40023565e+00f, -1.92767584e+00f, 8.24980140e-01f, 2.13873649e+00f, -2.48356652e+00f,
    3.51914620e+00f, 4.78968799e-01f, 5.20474672e+00f, 2.08920670e+00f, -7.68197346e+00f, -4.21731424e+00f,
    2.01984954e+00f, -8.06795135e-02f, 1.44913125e+00f, -1.18215685e+01f, 1.05188055e+01f, -4.54953671e+00f,
    -6.85111713e+00f, 7.21721411e+00f, -1.43193922e+01f, 1.94909835e+00f, -5.03717422e+00f, -2.90848041e+00f,
    -2.53796983e+00f, -4.92831039e+00f, -1.56992888e+00f, -2.40281463e+00f, 1.13704717e+00f, 9.96205866e-01f,
    -6.61497042e-02f, -1.52560210e+00f, 8.73166144e-01f, 8.85440052e-01f, 7.13827705e+00f, -2.61442161e+00f,
    1.31374812e+00f, -4.28896964e-01f, -4.08005428e+00f, -2.03186703e+00f, -8.45128441e+00f, -3.47183138e-01f,
    1.57891250e+00f, 7.83526003e-01f, 8.74608755e-02f, 1.06347542e+01f, -1.22043514e+00f, 3.06630921e+00f,
    3.63926917e-01f, 1.88120973e+00f, -2.83494294e-01f, -2.43413854e+00f, -3.05302906e+00f, -1.67386603e+00f,
    -1.60763693e+00f, 3.17849851e+00f, 3.31875157e+00f, -1.81695366e+00f, 1.96459579e+00f, 1.19420183e+00f,
    8.51451576e-01f, 2.17910337e+00f, 7.70168722e-01f, -6.54360104e+00f, -1.15179777e+00f, -3.42260885e+00f,
    3.53918052e+00f, 2.38988471e+00f, 2.79716206e+00f, 4.87905359e+00f, -1.00157690e+00f, -1.71244994e-01f,
    -6.30478716e+00f, 5.19611406e+00f, 2.13117385e+00f, 3.19387817e+00f, 1.07973948e-01f, -1.93444717e+00f,
    -3.50972700e+00f, 5.34108591e+00f, 1.90021002e+00f, -9.36212242e-01f, -1.20484149e+00f, -2.54835057e+00f,
    -3.25645655e-01f, 2.16427183e+00f, 3.10225391e+00f, -3.47155857e+00f, -5.09891033e+00f, -3.09219074e+00f,
    -4.13703442e+00f, -9.43720460e-01f, 3.94172740e+00f, 6.65879726e+00f, -3.09106994e+00f, -4.92049873e-01f,
    5.09827232e+00f, -2.16885328e-01f, 2.41590714e+00f, 4.91819143e+00f, -7.67279959e+00f, 3.56745958e+00f,
    -2.72378016e+00f, -6.85500050e+00f, -3.34567022e+00f, 3.80932927e+00f, 1.72813094e+00f, -1.41653311e+00f,
    -1.69410789e+00f, -1.14704378e-01f, 2.89243841e+00f, 3.11586523e+00f, 1.50608683e+00f, -1.77755153e+00f,
    -4.17964369e-01f, 3.58470023e-01f, -5.03677964e-01f, 2.45943576e-01f, 4.62257242e+00f, -2.57405019e+00f,
    -3.41010666e+00f, -5.31089640e+00f, -4.03581524e+00f, -1.64338136e+00f, 7.91318178e+00f, -1.53340006e+01f,
    -4.51925659e+00f, 5.04147053e+00f, -1.27611291e+00f, -1.51764083e+00f, 8.56502712e-01f, 1.65608561e+00f,
    1.66899920e+00f, -1.87699467e-01f, 2.12005901e+00f, 3.34393442e-01f, -1.91720545e-01f, -3.96172333e+00f,
    -5.15061319e-01f, -5.55480814e+00f, -7.59302568e+00f, 1.44694105e-01f, -3.27339411e-01f, -2.68844175e+00f,
    -1.94690788e+00f, -1.31054175e+00f, 5.27081966e+00f, -8.03906345e+00f, 2.16450453e+00f, -6.43087339e+00f,
    5.35514879e+00f, -2.97260833e+00f, 7.72452116e+00f, 5.18071461e+00f, -3.94462991e+00f, 6.57086229e+00f,
    -2.36949015e+00f, -5.92137146e+00f, 2.08620501e+00f, -3.25512934e+00f, -3.14473248e+00f, 1.70926738e+00f,
    2.74432921e+00f, 2.63381004e+00f, -1.00594330e+00f, 1.74342895e+00f, -4.79348755e+00f, -5.17688608e+00f,
    2.71884084e-01f, -3.93971920e+00f, 6.31867695e+00f, 3.63178372e+00f, -6.48453951e+00f, 9.77178693e-01f,
    -7.87651443e+00f, -6.56035042e+00f, -1.37860239e+00f, -9.17191029e+00f, -1.79843223e+00f, 1.30011740e+01f,
    -6.14201593e+00f, 1.20574903e+00f, -5.15003681e+00f, 1.94316721e+00f, 6.91662371e-01f, -4.88317728e+00f,
    8.66231501e-01f, -3.35191202e+00f, 2.12326193e+00f, -2.62624645e+00f, -3.69111609e+00f, 7.54441991e-02f,
    4.72727567e-01f, 4.93621349e+00f, 4.65440607e+00f, -5.27669311e-01f, -4.66365910e+00f, 9.73628223e-01f,
    1.24069273e+00f, 4.11769581e+00f, -4.43254328e+00f, 5.16103363e+00f, 1.02287827e+01f, 3.04760647e+00f,
    1.61854613e+00f, -1.81038558e+00f, 1.59234738e+00f, 6.78888023e-01f, -1.32182240e+00f, -1.25824022e+01f,
    -7.69456387e-01f, 1.24474180e+00f, 9.46123898e-01f, 1.89450026e-01f, 9.19639885e-01f, 8.07096660e-01f,
    -2.31141225e-02f, 3.20893312e+00f, -1.53570735e+00f, -1.57121289e+00f, -4.33763742e+00f, 9.58461761e-01f,
    2.91706634e+00f, 2.23535919e+00f, -4.27377844e+00f, 1.69289541e+00f, -2.39900756e+00f, 1.66130722e+00f,
    -2.84771967e+00f, -5.00198698e+00f, -1.24938095e+00f, -4.31002903e+00f, -7.28482723e+00f,
    -5.86334801e+00f, -2.85365915e+00f, -2.69072890e-01f, 1.54953444e+00f, -3.38598633e+00f, 2.99274468e+00f,
    9.43828106e-01f, 3.02065420e+00f, 6.51781917e-01f, -4.35845041e+00f, 1.98341107e+00f, -4.86936522e+00f,
    2.04113269e+00f, -1.80480492e+00f, 2.47184336e-01f, -1.06696415e+00f, -6.02753448e+00f, 9.25413489e-01f,
    4.81919110e-01f, -2.34279466e+00f, 3.37334108e+00f, 1.03804827e+00f, -3.48307610e+00f, -7.48472989e-01f,
    3.85233283e+00f, -1.04095459e+01f, -3.76723671e+00f, -8.04169178e+00f, -3.87698603e+00f, -2.96049666e+00f,
    9.16174889e+00f
};

static const float mnist_541_biases_8[10] = {
    6.88548028e-01f, 5.97215462e+00f, -4.68131781e+00f, -4.85744095e+00f, 3.56708241e+00f, 1.89455855e+00f,
    6.66791391e+00f, -1.86734283e+00f, -2.33335447e+00f, -7.03054070e-01f
};

/* A square convolution, ReLU, and the largest of each pool x pool pixels. */
static void mnist_541_convolution(
    const float *in, float *out, const float *weights, const float *biases,
    int32_t in_channels, int32_t side, int32_t channels, int32_t kernel, int32_t padding, int32_t pool)
{
    const int32_t out_side = (side + 2 * padding - kernel + 1) / pool;
    for (int32_t channel = 0; channel < channels; channel++) {
        for (int32_t pixel = 0; pixel < out_side * out_side; pixel++) {
            float largest = 0; /* as ReLU lets nothing less pass */
            for (int32_t part = 0; part < pool * pool; part++) {
                const int32_t top = pixel / out_side * pool + part / pool - padding;
                const int32_t left = pixel % out_side * pool + part % pool - padding;
                const int32_t first_row = top < 0 ? -top : 0, rows = side - top < kernel ? side - top : kernel;
                const int32_t first = left < 0 ? -left : 0, columns = side - left < kernel ? side - left : kernel;
                float sum = biases[channel];
                for (int32_t in_channel = 0; in_channel < in_channels; in_channel++) {
                    for (int32_t row = first_row; row < rows; row++) {
                        const float *weight = weights + (in_channel * kernel + row) * kernel;
                        const float *values = in + (in_channel * side + top + row) * side + left;
                        for (int32_t column = first; column < columns; column++)
                            sum += weight[column] * values[column];
                    }
                }
                largest = sum > largest ? sum : largest;
            }
            *out++ = largest;
        }
        weights += in_channels * kernel * kernel;
    }
}

/* A square convolution, perhaps depthwise, the sum with `added`, an activation with `slope` below zero, and the
 * largest of each pool x pool pixels. */
static void mnist_541_block(
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
static void mnist_541_average(
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

static float mnist_541_product(const float *in, const float *weights, float sum, int32_t length)
{
    for (int32_t i = 0; i < length; i++)
        sum += weights[i] * in[i];
    return sum;
}

void mnist_541_classify(const float *image, float *scores, float *arena)
{
    /* conv 3x3 1-4 */
    mnist_541_convolution(image, arena, mnist_541_weights_0, mnist_541_biases_0, 1, 28, 4, 3, 0, 1);
    /* conv 3x3 4-4 */
    mnist_541_convolution(arena, arena + 2704, mnist_541_weights_1, mnist_541_biases_1, 4, 26, 4, 3, 0, 1);
    /* conv 3x3 4-4, the same weights */
    mnist_541_convolution(arena + 2704, arena, mnist_541_weights_2, mnist_541_biases_2, 4, 24, 4, 3, 0, 1);
    /* depthwise 3x3 4, stride 2 */
    mnist_541_block(arena, arena + 4608, mnist_541_weights_3, 0, 0, 1.00000000e+00f, 1, 2, 4, 22, 4, 3, 0, 1);
    /* conv 1x1 4-2 */
    mnist_541_convolution(arena + 4608, arena, mnist_541_weights_4, mnist_541_biases_4, 4, 10, 2, 1, 0, 1);
    /* depthwise 3x3 2 */
    mnist_541_block(arena, arena + 4880, mnist_541_weights_5, 0, 0, 1.00000000e+00f, 1, 1, 2, 10, 2, 3, 0, 1);
    /* conv 1x1 2-3 */
    mnist_541_convolution(arena + 4880, arena, mnist_541_weights_6, mnist_541_biases_6, 2, 8, 3, 1, 0, 1);
    /* average pooling to 3x3 */
    mnist_541_average(arena, arena + 4981, 3, 8, 3);
    /* linear 27-10 */
    for (int32_t unit = 0; unit < 10; unit++) {
        const float sum = mnist_541_product(arena + 4981, mnist_541_weights_8 + unit * 27, mnist_541_biases_8[unit], 27);
        scores[unit] = sum;
    }
}

#ifdef MNIST_541_MAIN
#include <math.h>
#include <stdio.h>

/* The scores of an image of stripes, as PyTorch has them. */
static const float expected[10] = {
    -2.91185665e+00f, -4.12963009e+00f, -1.12723293e+01f, -1.29756470e+01f, 2.60603857e+00f, -1.38427610e+01f,
    -7.11176825e+00f, -9.26776290e-01f, -2.46960783e+00f, -6.26865149e+00f
};

int main(void)
{
    static float image[784], arena[MNIST_541_ARENA];
    float scores[10], largest = 0.0f;
    for (int32_t i = 0; i < 784; i++)
        image[i] = (float)(uint8_t)(37 * i % 256) / 255.0f;
    mnist_541_classify(image, scores, arena);
    for (int32_t i = 0; i < 10; i++) {
        const float difference = fabsf(scores[i] - expected[i]);
        largest = difference > largest ? difference : largest;
        printf("%.9g\n", (double)scores[i]);
    }
    return largest <= 1.38427608e-03f ? 0 : 1;
}
#endif
