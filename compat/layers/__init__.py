"""Layers. Those of kfun are generated from its definitions; `Lambda` and the wrappers hold other layers or code."""

from compat.engine.input_layer import (
    Input as Input,
)
from compat.engine.input_layer import (
    InputLayer as InputLayer,
)
from compat.engine.input_spec import InputSpec as InputSpec
from compat.engine.layer import Layer as Layer
from compat.layers._cells import StackedRNNCells as StackedRNNCells
from compat.layers._dense import (
    Dense as Dense,
)
from compat.layers._dense import (
    EinsumDense as EinsumDense,
)
from compat.layers._ecosystem import (
    EquinoxLayer as EquinoxLayer,
)
from compat.layers._ecosystem import (
    KfunLayer as KfunLayer,
)
from compat.layers._ecosystem import (
    TFSMLayer as TFSMLayer,
)
from compat.layers._ecosystem import (
    TorchModuleWrapper as TorchModuleWrapper,
)
from compat.layers._functions import (
    add as add,
)
from compat.layers._functions import (
    average as average,
)
from compat.layers._functions import (
    concatenate as concatenate,
)
from compat.layers._functions import (
    dot as dot,
)
from compat.layers._functions import (
    maximum as maximum,
)
from compat.layers._functions import (
    minimum as minimum,
)
from compat.layers._functions import (
    multiply as multiply,
)
from compat.layers._functions import (
    subtract as subtract,
)
from compat.layers._generated import (
    ELU as ELU,
)
from compat.layers._generated import (
    GRU as GRU,
)
from compat.layers._generated import (
    LSTM as LSTM,
)
from compat.layers._generated import (
    RNN as RNN,
)
from compat.layers._generated import (
    Activation as Activation,
)
from compat.layers._generated import (
    ActivityRegularization as ActivityRegularization,
)
from compat.layers._generated import (
    AdaptiveAveragePooling1D as AdaptiveAveragePooling1D,
)
from compat.layers._generated import (
    AdaptiveAveragePooling2D as AdaptiveAveragePooling2D,
)
from compat.layers._generated import (
    AdaptiveAveragePooling3D as AdaptiveAveragePooling3D,
)
from compat.layers._generated import (
    AdaptiveMaxPooling1D as AdaptiveMaxPooling1D,
)
from compat.layers._generated import (
    AdaptiveMaxPooling2D as AdaptiveMaxPooling2D,
)
from compat.layers._generated import (
    AdaptiveMaxPooling3D as AdaptiveMaxPooling3D,
)
from compat.layers._generated import (
    Add as Add,
)
from compat.layers._generated import (
    AdditiveAttention as AdditiveAttention,
)
from compat.layers._generated import (
    AlphaDropout as AlphaDropout,
)
from compat.layers._generated import (
    Attention as Attention,
)
from compat.layers._generated import (
    Average as Average,
)
from compat.layers._generated import (
    AveragePooling1D as AveragePooling1D,
)
from compat.layers._generated import (
    AveragePooling2D as AveragePooling2D,
)
from compat.layers._generated import (
    AveragePooling3D as AveragePooling3D,
)
from compat.layers._generated import (
    AvgPool1D as AvgPool1D,
)
from compat.layers._generated import (
    AvgPool2D as AvgPool2D,
)
from compat.layers._generated import (
    AvgPool3D as AvgPool3D,
)
from compat.layers._generated import (
    BatchNormalization as BatchNormalization,
)
from compat.layers._generated import (
    Concatenate as Concatenate,
)
from compat.layers._generated import (
    Conv1D as Conv1D,
)
from compat.layers._generated import (
    Conv1DTranspose as Conv1DTranspose,
)
from compat.layers._generated import (
    Conv2D as Conv2D,
)
from compat.layers._generated import (
    Conv2DTranspose as Conv2DTranspose,
)
from compat.layers._generated import (
    Conv3D as Conv3D,
)
from compat.layers._generated import (
    Conv3DTranspose as Conv3DTranspose,
)
from compat.layers._generated import (
    ConvLSTM1D as ConvLSTM1D,
)
from compat.layers._generated import (
    ConvLSTM2D as ConvLSTM2D,
)
from compat.layers._generated import (
    ConvLSTM3D as ConvLSTM3D,
)
from compat.layers._generated import (
    Convolution1D as Convolution1D,
)
from compat.layers._generated import (
    Convolution1DTranspose as Convolution1DTranspose,
)
from compat.layers._generated import (
    Convolution2D as Convolution2D,
)
from compat.layers._generated import (
    Convolution2DTranspose as Convolution2DTranspose,
)
from compat.layers._generated import (
    Convolution3D as Convolution3D,
)
from compat.layers._generated import (
    Convolution3DTranspose as Convolution3DTranspose,
)
from compat.layers._generated import (
    Cropping1D as Cropping1D,
)
from compat.layers._generated import (
    Cropping2D as Cropping2D,
)
from compat.layers._generated import (
    Cropping3D as Cropping3D,
)
from compat.layers._generated import (
    DepthwiseConv1D as DepthwiseConv1D,
)
from compat.layers._generated import (
    DepthwiseConv2D as DepthwiseConv2D,
)
from compat.layers._generated import (
    Dot as Dot,
)
from compat.layers._generated import (
    Dropout as Dropout,
)
from compat.layers._generated import (
    Embedding as Embedding,
)
from compat.layers._generated import (
    Flatten as Flatten,
)
from compat.layers._generated import (
    GaussianDropout as GaussianDropout,
)
from compat.layers._generated import (
    GaussianNoise as GaussianNoise,
)
from compat.layers._generated import (
    GlobalAveragePooling1D as GlobalAveragePooling1D,
)
from compat.layers._generated import (
    GlobalAveragePooling2D as GlobalAveragePooling2D,
)
from compat.layers._generated import (
    GlobalAveragePooling3D as GlobalAveragePooling3D,
)
from compat.layers._generated import (
    GlobalAvgPool1D as GlobalAvgPool1D,
)
from compat.layers._generated import (
    GlobalAvgPool2D as GlobalAvgPool2D,
)
from compat.layers._generated import (
    GlobalAvgPool3D as GlobalAvgPool3D,
)
from compat.layers._generated import (
    GlobalMaxPool1D as GlobalMaxPool1D,
)
from compat.layers._generated import (
    GlobalMaxPool2D as GlobalMaxPool2D,
)
from compat.layers._generated import (
    GlobalMaxPool3D as GlobalMaxPool3D,
)
from compat.layers._generated import (
    GlobalMaxPooling1D as GlobalMaxPooling1D,
)
from compat.layers._generated import (
    GlobalMaxPooling2D as GlobalMaxPooling2D,
)
from compat.layers._generated import (
    GlobalMaxPooling3D as GlobalMaxPooling3D,
)
from compat.layers._generated import (
    GroupNormalization as GroupNormalization,
)
from compat.layers._generated import (
    GroupQueryAttention as GroupQueryAttention,
)
from compat.layers._generated import (
    GRUCell as GRUCell,
)
from compat.layers._generated import (
    Identity as Identity,
)
from compat.layers._generated import (
    LayerNormalization as LayerNormalization,
)
from compat.layers._generated import (
    LeakyReLU as LeakyReLU,
)
from compat.layers._generated import (
    LSTMCell as LSTMCell,
)
from compat.layers._generated import (
    Masking as Masking,
)
from compat.layers._generated import (
    Maximum as Maximum,
)
from compat.layers._generated import (
    MaxPool1D as MaxPool1D,
)
from compat.layers._generated import (
    MaxPool2D as MaxPool2D,
)
from compat.layers._generated import (
    MaxPool3D as MaxPool3D,
)
from compat.layers._generated import (
    MaxPooling1D as MaxPooling1D,
)
from compat.layers._generated import (
    MaxPooling2D as MaxPooling2D,
)
from compat.layers._generated import (
    MaxPooling3D as MaxPooling3D,
)
from compat.layers._generated import (
    Minimum as Minimum,
)
from compat.layers._generated import (
    MultiHeadAttention as MultiHeadAttention,
)
from compat.layers._generated import (
    Multiply as Multiply,
)
from compat.layers._generated import (
    Permute as Permute,
)
from compat.layers._generated import (
    PReLU as PReLU,
)
from compat.layers._generated import (
    ReLU as ReLU,
)
from compat.layers._generated import (
    RepeatVector as RepeatVector,
)
from compat.layers._generated import (
    Rescaling as Rescaling,
)
from compat.layers._generated import (
    Reshape as Reshape,
)
from compat.layers._generated import (
    ReversibleEmbedding as ReversibleEmbedding,
)
from compat.layers._generated import (
    RMSNormalization as RMSNormalization,
)
from compat.layers._generated import (
    SeparableConv1D as SeparableConv1D,
)
from compat.layers._generated import (
    SeparableConv2D as SeparableConv2D,
)
from compat.layers._generated import (
    SeparableConvolution1D as SeparableConvolution1D,
)
from compat.layers._generated import (
    SeparableConvolution2D as SeparableConvolution2D,
)
from compat.layers._generated import (
    SimpleRNN as SimpleRNN,
)
from compat.layers._generated import (
    SimpleRNNCell as SimpleRNNCell,
)
from compat.layers._generated import (
    Softmax as Softmax,
)
from compat.layers._generated import (
    SpatialDropout1D as SpatialDropout1D,
)
from compat.layers._generated import (
    SpatialDropout2D as SpatialDropout2D,
)
from compat.layers._generated import (
    SpatialDropout3D as SpatialDropout3D,
)
from compat.layers._generated import (
    Subtract as Subtract,
)
from compat.layers._generated import (
    UnitNormalization as UnitNormalization,
)
from compat.layers._generated import (
    UpSampling1D as UpSampling1D,
)
from compat.layers._generated import (
    UpSampling2D as UpSampling2D,
)
from compat.layers._generated import (
    UpSampling3D as UpSampling3D,
)
from compat.layers._generated import (
    ZeroPadding1D as ZeroPadding1D,
)
from compat.layers._generated import (
    ZeroPadding2D as ZeroPadding2D,
)
from compat.layers._generated import (
    ZeroPadding3D as ZeroPadding3D,
)
from compat.layers._get import (
    deserialize as deserialize,
)
from compat.layers._get import (
    serialize as serialize,
)
from compat.layers._jax_layers import (
    FlaxLayer as FlaxLayer,
)
from compat.layers._jax_layers import (
    JaxLayer as JaxLayer,
)
from compat.layers._lambda import Lambda as Lambda
from compat.layers._wrappers import (
    Bidirectional as Bidirectional,
)
from compat.layers._wrappers import (
    SpectralNormalization as SpectralNormalization,
)
from compat.layers._wrappers import (
    TimeDistributed as TimeDistributed,
)
from compat.layers._wrappers import (
    Wrapper as Wrapper,
)
from kfun.errors import unknown_names_of as _unknown_names_of

__getattr__ = _unknown_names_of(globals())
