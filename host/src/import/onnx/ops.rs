//! The operators that are read, and those that need no file of their own.

use certus_engine::model::Activation;

use super::call::{Apply, Call, Rule, Value};
use super::{constant, conv, elementwise, linear, pool, shape};
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
        "Add" => rule_of(LEGACY, elementwise::add),
        "Sub" => rule_of(LEGACY, elementwise::sub),
        "Mul" => rule_of(LEGACY, elementwise::mul),
        "Div" => rule_of(LEGACY, elementwise::div),
        "Neg" => rule_of(LEGACY, elementwise::neg),
        "BatchNormalization" => rule_of(
            &["epsilon", "momentum", "training_mode", "spatial", "is_test", "consumed_inputs"],
            elementwise::batch_normalization,
        ),
        "Relu" => rule_of(&["consumed_inputs"], relu),
        "LeakyRelu" => rule_of(&["alpha", "consumed_inputs"], leaky_relu),
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
        "Shape" => Rule { attributes: &["start", "end"], peeks: true, apply: constant::shape },
        "Concat" => rule_of(&["axis"], constant::concat),
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
                        BatchNormalization and arithmetic with constants, with Relu or LeakyRelu \
                        between"
                    .into(),
            );
        }
    })
}

fn rule_of(attributes: &'static [&'static str], apply: Apply) -> Rule {
    Rule { attributes, peeks: false, apply }
}

fn relu(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let shape = call.signal(0)?;
    chain.activate(Activation::Relu)?;
    Ok(Value::Signal(shape.to_vec()))
}

fn leaky_relu(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let shape = call.signal(0)?;
    let slope = call.float("alpha", 0.01)?;
    if !(0.0..=1.0).contains(&slope) {
        return Err(format!("slope {slope}; expected 0 to 1"));
    }
    chain.activate(Activation::LeakyRelu(slope))?;
    Ok(Value::Signal(shape.to_vec()))
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
