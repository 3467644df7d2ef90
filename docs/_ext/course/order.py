"""The order of the lessons: the one place that says which comes after which."""

ORDER = [
    "start/01_quickstart",
    "start/02_define_by_run",
    "tensors/01_create",
    "tensors/02_shape_dtype_device",
    "tensors/03_number_types",
    "tensors/03_index_reshape",
    "tensors/08_reductions",
    "tensors/09_broadcasting",
    "tensors/10_matrix_products",
    "tensors/11_in_place",
    "tensors/12_numpy_bridge",
    "autograd/01_gradients",
    "autograd/02_graph",
    "autograd/03_jacobians",
    "autograd/04_custom_function",
    "networks/01_module",
    "networks/02_layers",
    "networks/03_losses",
    "networks/04_optimizers",
    "networks/05_data",
    "networks/06_transforms",
    "networks/07_training_loop",
    "networks/08_save_load",
    "networks/09_tensorboard",
    "practice/02_mnist",
]

# The lessons that do not have the form yet which CONTRIBUTING.md describes. No lesson may be added
# here, and one that has the form is removed.
NOT_YET = [
    "start/01_quickstart",
    "start/02_define_by_run",
    "tensors/03_index_reshape",
    "autograd/01_gradients",
    "autograd/02_graph",
    "autograd/03_jacobians",
    "autograd/04_custom_function",
    "networks/01_module",
    "networks/02_layers",
    "networks/03_losses",
    "networks/04_optimizers",
    "networks/05_data",
    "networks/06_transforms",
    "networks/07_training_loop",
    "networks/08_save_load",
    "networks/09_tensorboard",
    "practice/02_mnist",
]


def parts() -> list[str]:
    """Return the parts of the book in their order."""
    return list(dict.fromkeys(name.partition("/")[0] for name in ORDER))
