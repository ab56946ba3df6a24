//! The operators that are read, and those that need no file of their own.

use super::call::{Apply, Call, Rule, Takes, Value};
use super::{activations, constant, conv, elementwise, join, linear, max_pool, pool, shape};
use crate::import::chain::{Chain, Checked};

/// The rule for an operator; an error that tells why there is none.
pub(super) fn rule(op: &str) -> Checked<Rule> {
    // Before operator set 7, `broadcast` said what now holds always; `consumed_inputs` was a hint.
    const LEGACY: &[&str] = &["broadcast", "consumed_inputs"];
    Ok(match op {
        "Gemm" => rule_of(&["alpha", "beta", "transA", "transB", "broadcast"], linear::gemm),
        "MatMul" => rule_of(&[], linear::matmul),
        "Conv" => rule_of(conv::ATTRIBUTES, conv::conv),
        "AveragePool" => rule_of(pool::ATTRIBUTES, pool::average_pool),
        "GlobalAveragePool" => rule_of(&[], pool::global_average_pool),
        "MaxPool" => rule_of(max_pool::ATTRIBUTES, max_pool::max_pool),
        "GlobalMaxPool" => rule_of(&[], max_pool::global_max_pool),
        "Add" => joining(LEGACY, join::add),
        "Sub" => joining(LEGACY, join::sub),
        "Mul" => rule_of(LEGACY, elementwise::mul),
        "Div" => rule_of(LEGACY, elementwise::div),
        "Neg" => rule_of(LEGACY, elementwise::neg),
        "BatchNormalization" => rule_of(
            &["epsilon", "momentum", "training_mode", "spatial", "is_test", "consumed_inputs"],
            elementwise::batch_normalization,
        ),
        "Relu" => rule_of(&["consumed_inputs"], activations::relu),
        "LeakyRelu" => rule_of(&["alpha", "consumed_inputs"], activations::leaky_relu),
        "Abs" => rule_of(&["consumed_inputs"], activations::abs),
        "Sign" => rule_of(&[], activations::sign),
        "Clip" => rule_of(&["min", "max", "consumed_inputs"], activations::clip),
        "HardSigmoid" => rule_of(&["alpha", "beta", "consumed_inputs"], activations::hard_sigmoid),
        "Elu" => rule_of(&["alpha", "consumed_inputs"], activations::elu),
        "Softplus" => rule_of(&[], activations::softplus),
        "Sigmoid" => rule_of(&["consumed_inputs"], activations::sigmoid),
        "Tanh" => rule_of(&["consumed_inputs"], activations::tanh),
        "Atan" => rule_of(&[], activations::atan),
        "Swish" => rule_of(&["alpha"], activations::swish),
        "Gelu" => rule_of(&["approximate"], activations::gelu),
        "Identity" => rule_of(&[], identity),
        "Dropout" => rule_of(&["ratio", "seed", "is_test", "consumed_inputs"], dropout),
        "Cast" => rule_of(&["to", "saturate", "round_mode"], constant::cast),
        "Flatten" => rule_of(&["axis"], shape::flatten),
        "Reshape" => rule_of(&["allowzero", "shape", "consumed_inputs"], shape::reshape),
        "Squeeze" => rule_of(&["axes"], shape::squeeze),
        "Unsqueeze" => rule_of(&["axes"], shape::unsqueeze),
        "Transpose" => rule_of(&["perm"], shape::transpose),
        "Pad" => rule_of(&["mode", "pads", "paddings", "value"], shape::pad),
        "Constant" => rule_of(
            &["value", "value_float", "value_floats", "value_int", "value_ints"],
            constant::constant,
        ),
        "ConstantOfShape" => rule_of(&["value"], constant::constant_of_shape),
        "Shape" => {
            Rule { attributes: &["start", "end"], takes: Takes::Shape, apply: constant::shape }
        }
        "Concat" => joining(&["axis"], join::concat),
        "Slice" => rule_of(&["axes", "starts", "ends"], constant::slice),
        "Gather" => rule_of(&["axis"], constant::gather),
        "Softmax" | "LogSoftmax" => {
            return Err("not supported; certus certifies margins of the logits, \
                        which this operator does not reorder: export the network without it"
                .into());
        }
        "" => return Err("a node without an operator".into()),
        _ => {
            return Err(
                "not supported; certus certifies networks of Gemm, MatMul, Conv, AveragePool, \
                        MaxPool, BatchNormalization, sums, and arithmetic with constants, with \
                        Relu, LeakyRelu, Abs, Sign, Clip, HardSigmoid, Elu, Softplus, Sigmoid, \
                        Tanh, Atan, Swish or Gelu between"
                    .into(),
            );
        }
    })
}

fn rule_of(attributes: &'static [&'static str], apply: Apply) -> Rule {
    Rule { attributes, takes: Takes::Value, apply }
}

/// The rule of an operator that may join values.
fn joining(attributes: &'static [&'static str], apply: Apply) -> Rule {
    Rule { attributes, takes: Takes::Values, apply }
}

fn identity(call: &Call<'_>, _: &mut Chain) -> Checked<Value> {
    call.operand(0).cloned()
}

/// The identity, as long as it is not in training.
fn dropout(call: &Call<'_>, _: &mut Chain) -> Checked<Value> {
    let training = match call.opset {
        ..7 => !call.flag("is_test")?,
        7..12 => false,
        _ => match call.optional_constant(2)? {
            Some(mode) => mode.single_int()? != 0,
            None => false,
        },
    };
    if training {
        return Err("in training mode it is random; export the network for inference".into());
    }
    call.operand(0).cloned()
}
