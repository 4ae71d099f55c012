"""A student trained on labels and on a frozen teacher's softened outputs by compute_loss."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(30)


class Distiller(keras.Model):
    def __init__(self, student, teacher):
        super().__init__()
        self.teacher, self.student = teacher, student
        self.teacher.trainable = False

    def compile(self, optimizer, metrics, student_loss_fn, distillation_loss_fn, alpha=0.1, temperature=3):
        super().compile(optimizer=optimizer, metrics=metrics)
        self.student_loss_fn, self.distillation_loss_fn = student_loss_fn, distillation_loss_fn
        self.alpha, self.temperature = alpha, temperature

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        teacher = self.teacher(x, training=False)
        soft = self.distillation_loss_fn(
            ops.softmax(teacher / self.temperature, axis=1), ops.softmax(y_pred / self.temperature, axis=1)
        ) * (self.temperature**2)
        return self.alpha * self.student_loss_fn(y, y_pred) + (1 - self.alpha) * soft

    def call(self, x):
        return self.student(x)


teacher = keras.Sequential([keras.Input((9,)), layers.Dense(20, "relu"), layers.Dense(3)], name="teacher")
student = keras.Sequential([keras.Input((9,)), layers.Dense(4, "relu"), layers.Dense(3)], name="student")
scratch = keras.models.clone_model(student)
x, y = np.random.normal(size=(80, 9)).astype("float32"), np.random.randint(0, 3, 80)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
teacher.compile("adam", loss, metrics=[keras.metrics.SparseCategoricalAccuracy()])
t = teacher.fit(x, y, epochs=2, verbose=0).history
distiller = Distiller(student, teacher)
distiller.compile(
    keras.optimizers.Adam(), [keras.metrics.SparseCategoricalAccuracy()], loss, keras.losses.KLDivergence()
)
d = distiller.fit(x, y, epochs=2, verbose=0).history
e = distiller.evaluate(x, y, verbose=0)
scratch.compile("adam", loss)
s = scratch.fit(x, y, epochs=1, verbose=0).history
results = {f"t_{k}": v for k, v in t.items()} | {f"d_{k}": v for k, v in d.items()} | {"e": e, "s": s["loss"]}
