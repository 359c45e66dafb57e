/* 7vbn-7k5svbx2-3sb-pool3, float32. Written by search.export.
 * Compiled with -DMNIST_668_MAIN it is a program that tests itself. */
#include "mnist-668.h"

static const float mnist_668_weights_0[63] = {
    -9.20143843e-01f, 1.00535095e+00f, 4.41224486e-01f, 6.06808960e-01f, -3.77546287e+00f, -2.35955358e+00f,
    2.26070046e+00f, 1.19247818e+00f, 2.75566053e+00f, -2.83208728e+00f, -3.97525012e-01f, 1.15952611e+00f,
    -4.78693664e-01f, 3.78688431e+00f, -7.64319122e-01f, 4.59959030e-01f, 1.04286659e+00f, -1.55717564e+00f,
    4.81744170e-01f, -2.45667398e-01f, -8.73889506e-01f, 1.22683465e+00f, -1.05915403e+00f, -5.39813280e-01f,
    -4.50459540e-01f, -9.69692230e-01f, -4.95901078e-01f, 1.01150423e-01f, 9.72710550e-01f, -6.83565617e-01f,
    1.18038714e+00f, -9.97264683e-01f, -1.98339534e+00f, -1.00230753e+00f, -1.80480170e+00f, 1.63655829e+00f,
    -5.48368573e-01f, -2.37869278e-01f, -6.88115060e-01f, 6.97372675e-01f, -3.23775023e-01f, -5.19233048e-01f,
    -2.58820295e-01f, -7.50724375e-01f, -9.90931034e-01f, 2.07103467e+00f, -8.41822505e-01f, -3.33332360e-01f,
    1.78947639e+00f, -2.52166343e+00f, -5.03926277e-01f, 1.53172755e+00f, 5.09977460e-01f, 1.96975827e-01f,
    -1.49137819e+00f, 1.28856421e+00f, 2.50409389e+00f, 2.14888287e+00f, -6.68596148e-01f, -1.05293584e+00f,
    -1.83184326e-01f, -5.27148962e-01f, 1.24914920e+00f
};

static const float mnist_668_biases_0[7] = {
    -1.24521744e+00f, -2.97549546e-01f, 9.81284678e-01f, 5.20855725e-01f, -7.61381626e-01f, -2.89766397e-02f,
    -1.79092276e+00f
};

static const float mnist_668_weights_1[175] = {
    1.13924241e+00f, -1.18218005e+00f, -5.03459036e-01f, -2.80930591e+00f, -4.91568613e+00f, 6.56429768e+00f,
    9.25047159e-01f, -2.49690056e+00f, -1.19928634e+00f, -3.97283340e+00f, 5.96254778e+00f, 1.20053768e-01f,
    1.65205407e+00f, -1.44816816e+00f, -6.11921549e+00f, 3.78214073e+00f, 7.23501825e+00f, 3.13154650e+00f,
    1.97597671e+00f, -4.99942160e+00f, 2.93152779e-01f, -1.41721992e-02f, 6.48295069e+00f, 4.03866656e-02f,
    -1.77032638e+00f, 6.53004694e+00f, 9.78754938e-01f, 3.00931478e+00f, 3.36427498e+00f, 6.01699829e+00f,
    -1.11970294e+00f, 4.70721912e+00f, 1.46912432e+00f, 4.39458513e+00f, 6.03727150e+00f, -1.04874229e+00f,
    1.61619711e+00f, 1.07302701e+00f, 2.42461753e+00f, -3.31958222e+00f, -3.04066443e+00f, -4.65322167e-01f,
    8.57492387e-01f, -2.96099162e+00f, 8.55806470e-01f, 1.61902070e+00f, -9.75333631e-01f, -2.95253468e+00f,
    -1.42238998e+00f, -1.75445902e+00f, -1.76656413e+00f, 4.39244032e+00f, -6.46066546e-01f, -2.00328648e-01f,
    3.20197272e+00f, -3.51646447e+00f, -3.39908743e+00f, -2.97350478e+00f, 1.58518362e+00f, -8.39504823e-02f,
    3.46962959e-01f, -6.12333775e+00f, -2.95191932e+00f, -3.57986617e+00f, -6.20980144e-01f, -8.57964277e-01f,
    4.42271322e-01f, -2.49052048e+00f, -4.40286255e+00f, -3.75137758e+00f, -7.63989449e+00f, -2.57249928e+00f,
    -2.75955796e+00f, 8.42001081e-01f, 1.46608055e-02f, -6.20427752e+00f, 2.91001201e+00f, -4.64909363e+00f,
    -5.23011112e+00f, -1.42929685e+00f, 7.92519093e-01f, 1.94014013e+00f, -1.02930343e+00f, -3.12520377e-02f,
    -2.86207390e+00f, 8.06583047e-01f, 3.13467932e+00f, 4.94940805e+00f, 9.06372166e+00f, -2.73181275e-02f,
    -8.97061944e-01f, 4.09146833e+00f, 1.07680883e+01f, 5.96055794e+00f, 2.77889776e+00f, -3.81458950e+00f,
    -2.76486373e+00f, -4.10584927e+00f, 8.15499115e+00f, 3.96528268e+00f, 6.39317274e+00f, 3.11217785e+00f,
    3.27402592e+00f, 6.36350155e+00f, 5.08159733e+00f, -1.54574370e+00f, 1.87143338e+00f, 4.56812525e+00f,
    -1.72000870e-01f, 4.01065350e-01f, -6.03459454e+00f, -2.04869676e+00f, -1.35544348e+00f, 1.10629404e+00f,
    -1.46550167e+00f, -4.07997847e+00f, -1.91085958e+00f, -5.99916935e+00f, -2.14402223e+00f,
    -4.78376484e+00f, -5.60140944e+00f, -2.82039642e+00f, -6.71713305e+00f, -9.68487167e+00f,
    -6.50563765e+00f, 1.92631042e+00f, 2.04012895e+00f, -4.18082094e+00f, -1.06821632e+00f, -3.11396480e+00f,
    3.93783092e+00f, 1.91037858e+00f, -2.27238631e+00f, -2.62858343e+00f, -6.86022103e-01f, 8.39467239e+00f,
    -4.27282333e+00f, 5.27695268e-02f, -3.27205276e+00f, -3.83641386e+00f, 2.16774678e+00f, -1.24729681e+00f,
    -4.30430508e+00f, -1.52365065e+00f, -3.61246204e+00f, -3.65685821e+00f, -1.41216671e+00f, 5.31126022e-01f,
    8.22272420e-01f, -5.97072728e-02f, -4.19409752e+00f, 6.39051139e-01f, 3.14612198e+00f, 2.76755238e+00f,
    5.19139767e-01f, -1.73383379e+00f, -2.56041026e+00f, -1.32231438e+00f, -1.52770126e+00f, -6.05314350e+00f,
    -1.82993567e+00f, -5.61570215e+00f, -7.66045904e+00f, -5.40782690e+00f, -6.13469005e-01f,
    -6.17808485e+00f, -2.94347239e+00f, -5.24031878e+00f, -8.42776775e-01f, 4.81052786e-01f, -3.82813311e+00f,
    1.90927076e+00f, 4.92644739e+00f, 5.61859655e+00f, 1.85276699e+00f
};

static const float mnist_668_weights_2[49] = {
    2.14650724e-02f, 1.26113147e-02f, 1.81434937e-02f, 7.53665715e-02f, 2.30628308e-02f, 1.33005809e-02f,
    -3.98496054e-02f, -1.75043620e-04f, 5.48344366e-02f, -5.01251826e-03f, -1.09948842e-02f, -1.05309710e-01f,
    -2.10703374e-03f, -1.36781605e-02f, -4.12363373e-02f, 4.59030382e-02f, -2.88222637e-02f, -3.58239003e-02f,
    2.85465475e-02f, -2.49727108e-02f, 1.92583464e-02f, -7.85674993e-03f, 1.81846321e-02f, -1.25041921e-02f,
    3.45919505e-02f, 7.54325837e-02f, 9.97319166e-03f, 6.35484010e-02f, 3.27872904e-03f, -7.48728216e-03f,
    -1.39246313e-02f, 1.59073563e-03f, -6.14073779e-03f, -4.81604785e-02f, 1.88752761e-04f, 1.93917155e-02f,
    -2.29786597e-02f, -5.14846332e-02f, 1.64628606e-02f, 9.31211933e-03f, 3.56161036e-03f, -1.02083776e-02f,
    -4.99197096e-02f, 7.84378033e-03f, 1.88327748e-02f, -5.10231927e-02f, 3.22898142e-02f, -1.09571600e-02f,
    1.70306265e-02f
};

static const float mnist_668_biases_2[7] = {
    -4.25842434e-01f, -4.03801128e-02f, 8.00140083e-01f, -1.01922584e+00f, -1.44710732e+00f, -1.44488573e+00f,
    9.02093291e-01f
};

static const float mnist_668_weights_4[49] = {
    2.34990809e-02f, 1.38063505e-02f, 1.98627543e-02f, 8.25082287e-02f, 2.52482425e-02f, 1.45609304e-02f,
    -4.36257124e-02f, -7.09851010e-05f, 2.22369041e-02f, -2.03271676e-03f, -4.45873430e-03f, -4.27060425e-02f,
    -8.54461279e-04f, -5.54687809e-03f, -2.41742637e-02f, 2.69100554e-02f, -1.68966744e-02f, -2.10012924e-02f,
    1.67350397e-02f, -1.46399243e-02f, 1.12899533e-02f, -3.99301434e-03f, 9.24192555e-03f, -6.35497179e-03f,
    1.75805725e-02f, 3.83368991e-02f, 5.06864814e-03f, 3.22970301e-02f, 5.00278547e-03f, -1.14243245e-02f,
    -2.12466288e-02f, 2.42719334e-03f, -9.36972629e-03f, -7.34847337e-02f, 2.88004783e-04f, 1.32735772e-02f,
    -1.57288313e-02f, -3.52410935e-02f, 1.12687843e-02f, 6.37412071e-03f, 2.43791286e-03f, -6.98760711e-03f,
    -3.87517884e-02f, 6.08898792e-03f, 1.46195488e-02f, -3.96084040e-02f, 2.50660107e-02f, -8.50584917e-03f,
    1.32205747e-02f
};

static const float mnist_668_biases_4[7] = {
    8.03178310e-01f, -4.80748534e-01f, 3.05380017e-01f, -4.19925153e-01f, -2.60991621e+00f, -2.26775932e+00f,
    1.30102146e+00f
};

static const float mnist_668_weights_5[63] = {
    1.20824003e+00f, -4.05828857e+00f, 6.79829979e+00f, -4.89829481e-01f, 3.88270402e+00f, 2.64248419e+00f,
    2.24945569e+00f, -6.00068808e-01f, 2.03351164e+00f, 4.06929445e+00f, -3.79792237e+00f, 2.27255416e+00f,
    -2.03176975e+00f, -7.24099779e+00f, -3.41079652e-01f, -1.59271538e+00f, 4.45256424e+00f, -2.18620420e+00f,
    5.98489523e-01f, -2.15146065e+00f, -7.95159400e-01f, 5.12210131e-01f, 8.46895099e-01f, -5.33177328e+00f,
    -3.68586564e+00f, -6.42720938e+00f, 2.15509892e+00f, 3.72779346e+00f, 4.51525927e+00f, 4.37945461e+00f,
    -1.90685534e+00f, 5.51476097e+00f, -8.29180852e-02f, 2.48292994e+00f, 9.50406075e+00f, -1.67909116e-01f,
    -1.51312852e+00f, -5.88809311e-01f, -1.57355821e+00f, 6.25990200e+00f, 4.01040888e+00f, 5.75009584e+00f,
    9.63956654e-01f, -3.00318867e-01f, -7.34703779e+00f, 1.91304862e+00f, -2.50744891e+00f, 6.30005217e+00f,
    5.73156881e+00f, -1.00518882e+00f, 8.66915882e-01f, 3.71679401e+00f, 1.27743828e+00f, -5.80707908e-01f,
    -6.89702368e+00f, 2.08764696e+00f, 4.77016401e+00f, 2.29048252e+00f, 4.33323002e+00f, -6.55715644e-01f,
    7.65637112e+00f, -7.05441773e-01f, -2.56114650e+00f
};

static const float mnist_668_weights_6[21] = {
    -6.50171861e-02f, -2.87304297e-02f, 4.76777134e-03f, 4.79232483e-02f, 8.99628252e-02f, -5.06661497e-02f,
    -4.28827591e-02f, 3.10023073e-02f, 7.21855909e-02f, -6.56233961e-03f, 6.23668134e-02f, -1.16784358e-02f,
    -5.49484789e-03f, 8.19649398e-02f, 1.50921475e-02f, -1.44075491e-02f, -8.02611858e-02f, -6.00301027e-02f,
    -6.45657722e-03f, -4.54710014e-02f, -3.66540551e-02f
};

static const float mnist_668_biases_6[3] = {
    1.21266973e+00f, -1.53603956e-01f, -9.80951846e-01f
};

static const float mnist_668_weights_8[270] = {
    1.10864425e+00f, -2.56431580e+00f, -4.80808401e+00f, 3.19865751e+00f, 2.64551759e+00f, 2.56280041e+00f,
    -1.09239972e+00f, -7.27415133e+00f, 1.98161936e+00f, -3.34397101e+00f, -1.52363434e-01f, -5.91004753e+00f,
    -5.27985048e+00f, -1.12281787e+00f, 1.55026451e-01f, -3.16359115e+00f, -2.11403444e-01f, 5.56435347e+00f,
    -5.14878631e-01f, -4.33353812e-01f, -1.52139652e+00f, 2.74114275e+00f, -1.83615255e+00f, -2.35989118e+00f,
    1.31662023e+00f, -3.10541177e+00f, 1.29389274e+00f, -9.92469013e-01f, 5.81906223e+00f, 3.25361997e-01f,
    3.15309525e+00f, 6.27856064e+00f, -1.40656665e-01f, 4.73019028e+00f, -3.73210758e-01f, -4.49646950e+00f,
    -2.52005792e+00f, -6.31913602e-01f, -4.02506208e+00f, 3.18982267e+00f, -4.72697163e+00f, -2.31683755e+00f,
    8.67705882e-01f, -1.51303554e+00f, 7.02401936e-01f, -3.70664406e+00f, 6.04051411e-01f, 1.53286827e+00f,
    -4.03893280e+00f, 3.89781713e-01f, -1.72292876e+00f, -2.33925271e+00f, -2.28251982e+00f, -1.34408092e+00f,
    1.96132421e+00f, -1.64595330e+00f, 3.80003452e+00f, 1.82222962e+00f, -7.23262846e-01f, -4.37397540e-01f,
    2.78637433e+00f, -7.55925465e+00f, -4.74422026e+00f, 1.86938953e+00f, 1.12032282e+00f, -6.21990633e+00f,
    9.39995944e-01f, -4.27861035e-01f, 2.41290402e+00f, -4.28971976e-01f, -3.57222676e-01f, 4.84975874e-01f,
    -6.64846420e-01f, -3.41475755e-01f, -4.96807051e+00f, -2.46911049e+00f, -4.74354982e+00f, 3.50253701e+00f,
    4.47251892e+00f, 1.81898308e+00f, 3.17788935e+00f, -4.44879580e+00f, -1.83105361e+00f, 1.32962620e+00f,
    4.81837273e+00f, -9.43238544e+00f, -5.36412776e-01f, -2.74023652e+00f, -8.17842066e-01f, 2.95699048e+00f,
    4.28569174e+00f, 1.99668682e+00f, -1.52894592e+00f, 5.17920017e-01f, 3.80442452e+00f, -1.97302866e+00f,
    1.87030509e-01f, 2.43479466e+00f, -1.38024688e+00f, 5.77999130e-02f, 8.38571638e-02f, -5.57404578e-01f,
    -3.35778618e+00f, 3.39982486e+00f, -7.14492321e-01f, -3.17279577e+00f, -3.40830255e+00f, -8.09623241e+00f,
    1.32531726e+00f, 5.60973310e+00f, 2.07112789e+00f, -8.65420341e+00f, -2.34837294e+00f, -1.03182428e-01f,
    1.48049816e-01f, 2.53588152e+00f, -2.97999477e+00f, -4.82892942e+00f, -4.99327660e+00f, -7.17896318e+00f,
    1.32343614e+00f, -1.62981606e+00f, -1.55775285e+00f, 1.33454427e-02f, -4.40989852e-01f, -1.58339906e+00f,
    -4.86634207e+00f, -9.36035812e-01f, 2.15994644e+00f, 1.79595065e+00f, -2.01473266e-01f, 2.94283986e+00f,
    -2.69113183e+00f, 8.17773163e-01f, 6.46850300e+00f, 1.21076822e+00f, -2.16901779e+00f, -6.35944271e+00f,
    -1.00616717e+00f, -1.30775642e+00f, -9.28726718e-02f, -2.62623763e+00f, 6.03331029e-01f, 3.76632380e+00f,
    -3.78165483e+00f, -8.52240682e-01f, 7.43350697e+00f, 1.33262858e-01f, 1.46212995e+00f, -9.32158589e-01f,
    2.04623008e+00f, 4.13049251e-01f, -1.04682684e+00f, 8.98741364e-01f, 2.68435985e-01f, 4.54916906e+00f,
    -1.49692893e+00f, 3.55818301e-01f, -6.48481989e+00f, -2.43644571e+00f, -6.06956959e+00f, -7.09155989e+00f,
    9.23952007e+00f, 2.57265258e+00f, -1.68897009e+00f, -3.05707723e-01f, -4.51403761e+00f, -3.55050588e+00f,
    -2.18709350e+00f, -6.74120951e+00f, 2.19348264e+00f, -5.11730003e+00f, -4.11642849e-01f, 6.38127804e+00f,
    -6.30552340e+00f, -2.86997366e+00f, 1.05118597e+00f, -2.36418509e+00f, 5.69520712e-01f, 2.13345075e+00f,
    2.09449148e+00f, 4.25244063e-01f, 1.99547338e+00f, 1.78396559e+00f, 9.35137570e-01f, -5.44324160e+00f,
    8.99641931e-01f, 1.28044176e+00f, -2.01939964e+00f, -7.14156294e+00f, -3.07611680e+00f, 2.24626708e+00f,
    3.45000100e+00f, 4.71843004e+00f, -2.72948360e+00f, 4.28496218e+00f, 4.63295031e+00f, -2.84505796e+00f,
    6.08676970e-01f, 1.60885906e+00f, -9.50182438e-01f, 2.17382765e+00f, -3.41923535e-01f, -3.24711037e+00f,
    2.19898891e+00f, -3.06881881e+00f, -1.36972737e+00f, -5.32120609e+00f, -2.01362133e+00f, -1.03407669e+00f,
    -3.05414653e+00f, -1.26019919e+00f, 1.86095524e+00f, -1.90199137e+00f, 1.36116326e+00f, 7.15739965e+00f,
    -3.08557773e+00f, -5.13572121e+00f, -1.12896609e+00f, -5.88189173e+00f, -5.99444866e+00f,
    -2.79238582e-01f, -1.10342860e+00f, -4.94478226e+00f, 2.79964447e+00f, 4.40013736e-01f, -2.44538188e+00f,
    -5.03630638e-01f, -1.76222587e+00f, -2.12906146e+00f, 4.10341930e+00f, -3.12697792e+00f, -8.03267717e-01f,
    -5.96233845e-01f, 3.33675337e+00f, 8.33808720e-01f, -1.08675778e+00f, -1.83385134e-01f, 6.11101687e-01f,
    2.15305948e+00f, 1.60583115e+00f, 2.71102691e+00f, -6.74640751e+00f, -2.22936273e+00f, -6.18268299e+00f,
    -1.18114376e+00f, -7.09221792e+00f, 1.65265965e+00f, 3.22234893e+00f, -3.83385658e+00f, 6.55644512e+00f,
    -2.74705678e-01f, 3.38375475e-03f, -2.68656075e-01f, -3.27425361e+00f, -1.40811527e+00f, 2.10449791e+00f,
    -3.13730168e+00f, 1.16400421e+00f, 9.45094228e-01f, -5.62370968e+00f, 3.52551508e+00f, 8.42048705e-01f,
    -3.78165984e+00f, 1.63180482e+00f, 1.43518853e+00f, -2.17575526e+00f, -2.82272768e+00f, 4.83458191e-01f,
    -9.16835129e-01f
};

static const float mnist_668_biases_8[10] = {
    3.86134100e+00f, 1.56764674e+00f, -6.01316512e-01f, -5.02066135e+00f, 2.15676808e+00f, 2.97145748e+00f,
    -4.74909401e+00f, -2.17013788e+00f, 4.50752354e+00f, -2.25665569e+00f
};

/* A square convolution, ReLU, and the largest of each pool x pool pixels. */
static void mnist_668_convolution(
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
static void mnist_668_block(
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
static void mnist_668_average(
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

static float mnist_668_product(const float *in, const float *weights, float sum, int32_t length)
{
    for (int32_t i = 0; i < length; i++)
        sum += weights[i] * in[i];
    return sum;
}

void mnist_668_classify(const float *image, float *scores, float *arena)
{
    /* conv 3x3 1-7 */
    mnist_668_convolution(image, arena, mnist_668_weights_0, mnist_668_biases_0, 1, 28, 7, 3, 0, 1);
    /* depthwise 5x5 7 */
    mnist_668_block(arena, arena + 4732, mnist_668_weights_1, 0, 0, 1.00000000e+00f, 1, 1, 7, 26, 7, 5, 0, 1);
    /* conv 1x1 7-7 */
    mnist_668_convolution(arena + 4732, arena, mnist_668_weights_2, mnist_668_biases_2, 7, 22, 7, 1, 0, 1);
    /* depthwise 5x5 7, the same weights */
    mnist_668_block(arena, arena + 5852, mnist_668_weights_1, 0, 0, 1.00000000e+00f, 1, 1, 7, 22, 7, 5, 0, 1);
    /* conv 1x1 7-7, the same weights, max pooling 2x2 */
    mnist_668_convolution(arena + 5852, arena, mnist_668_weights_4, mnist_668_biases_4, 7, 18, 7, 1, 0, 2);
    /* depthwise 3x3 7 */
    mnist_668_block(arena, arena + 7553, mnist_668_weights_5, 0, 0, 1.00000000e+00f, 1, 1, 7, 9, 7, 3, 1, 1);
    /* conv 1x1 7-3 */
    mnist_668_convolution(arena + 7553, arena, mnist_668_weights_6, mnist_668_biases_6, 7, 9, 3, 1, 0, 1);
    /* average pooling to 3x3 */
    mnist_668_average(arena, arena + 8093, 3, 9, 3);
    /* linear 27-10 */
    for (int32_t unit = 0; unit < 10; unit++) {
        const float sum = mnist_668_product(arena + 8093, mnist_668_weights_8 + unit * 27, mnist_668_biases_8[unit], 27);
        scores[unit] = sum;
    }
}

#ifdef MNIST_668_MAIN
#include <math.h>
#include <stdio.h>

/* The scores of an image of stripes, as PyTorch has them. */
static const float expected[10] = {
    -1.12638044e+00f, -3.59963918e+00f, -5.32251406e+00f, -1.69592533e+01f, 3.11412930e+00f, -1.12441130e+01f,
    -3.05158758e+00f, -8.29189301e+00f, -3.54010296e+00f, -7.06740189e+00f
};

int main(void)
{
    static float image[784], arena[MNIST_668_ARENA];
    float scores[10], largest = 0.0f;
    for (int32_t i = 0; i < 784; i++)
        image[i] = (float)(uint8_t)(37 * i % 256) / 255.0f;
    mnist_668_classify(image, scores, arena);
    for (int32_t i = 0; i < 10; i++) {
        const float difference = fabsf(scores[i] - expected[i]);
        largest = difference > largest ? difference : largest;
        printf("%.9g\n", (double)scores[i]);
    }
    return largest <= 1.69592525e-03f ? 0 : 1;
}
#endif
