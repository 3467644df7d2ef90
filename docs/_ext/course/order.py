"""The order of the lessons: the one place that says which comes after which."""

ORDER = [
    "start/01_quickstart",
    "start/02_dynamic_graph",
    "tensors/01_create",
    "tensors/02_shape_dtype_device",
    "tensors/03_number_types",
    "tensors/04_indexing",
    "tensors/05_reshape",
    "tensors/06_views",
    "tensors/07_joining",
    "tensors/08_reductions",
    "tensors/09_broadcasting",
    "tensors/10_matrix_products",
    "tensors/11_in_place",
    "tensors/12_numpy_bridge",
    "autograd/01_gradients",
    "autograd/02_accumulation",
    "autograd/03_no_grad",
    "autograd/04_graph",
    "autograd/05_graph_memory",
    "autograd/06_jacobian",
    "autograd/07_custom_function",
    "autograd/08_straight_through",
    "learning/01_kinds_of_learning",
    "learning/02_linear_regression",
    "learning/03_gradient_descent",
    "learning/04_stochastic_gradient_descent",
    "learning/05_logistic_regression",
    "learning/06_softmax_regression",
    "learning/07_calibration",
    "learning/08_overfitting",
    "learning/09_bias_variance",
    "networks/01_module",
    "networks/02_layers",
    "networks/03_losses",
    "networks/04_optimizers",
    "networks/05_data",
    "networks/06_transforms",
    "networks/07_training_loop",
    "networks/08_save_load",
    "networks/09_tensorboard",
    "architectures/01_backpropagation",
    "architectures/02_initialization",
    "architectures/03_weight_decay",
    "architectures/04_dropout_augmentation",
    "architectures/05_cnn",
    "architectures/06_residual",
    "architectures/07_rnn",
    "architectures/08_lstm",
    "architectures/09_attention",
    "architectures/10_transformer",
    "architectures/11_gpt",
    "practice/01_credit",
    "practice/02_threshold",
    "practice/03_mnist",
    "practice/04_mistakes",
    "practice/05_sine_to_cosine",
    "practice/06_time_series",
    "practice/07_color_images",
    "applications/03_boxes_iou_map",
    "applications/04_detector",
]

# The lessons that do not have the form yet which CONTRIBUTING.md describes. No lesson may be added
# here, and one that has the form is removed.
NOT_YET = [
    "networks/01_module",
    "networks/02_layers",
    "networks/03_losses",
    "networks/04_optimizers",
    "networks/05_data",
    "networks/06_transforms",
    "networks/07_training_loop",
    "networks/08_save_load",
    "networks/09_tensorboard",
]

# Who can read a part: everyone who knows some Python, those who know tensors and gradients, or
# those who have trained networks.
LEVELS = {
    "start": "Beginner",
    "tensors": "Beginner",
    "autograd": "Intermediate",
    "learning": "Intermediate",
    "networks": "Intermediate",
    "architectures": "Intermediate",
    "practice": "Intermediate",
    "applications": "Intermediate",
}


def parts() -> list[str]:
    """Return the parts of the book in their order."""
    return list(dict.fromkeys(name.partition("/")[0] for name in ORDER))
