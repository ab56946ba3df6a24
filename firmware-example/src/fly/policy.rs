//! The network that flies, and what its monitor is asked: all of it checked when it is compiled.

use certus_engine::bounds::Size;
use certus_engine::include_model;
use certus_engine::model::Model;
use certus_engine::monitor::{Rule, SensorError, Setup, StaticMonitor};

use super::plant::{HOVER, MOST, ROTORS, STATES};

/// 12-64-64-4, from `certus pack host/example/quadrotor.onnx`.
pub const MODEL: Model<'static> = include_model!("../../quadrotor.certus");

/// Half the range of each input.
pub const RANGE: [f32; STATES] = [1.0, 1.0, 1.0, 1.5, 1.5, 1.5, 0.5, 0.5, 0.5, 4.0, 4.0, 4.0];
const LEAST: [f32; STATES] =
    [-1.0, -1.0, -1.0, -1.5, -1.5, -1.5, -0.5, -0.5, -0.5, -4.0, -4.0, -4.0];
/// How far from the truth each sensor may be.
pub const ERROR: [f32; STATES] =
    [0.02, 0.02, 0.02, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01, 0.03, 0.03, 0.03];
/// What goes out in the network's place: it carries the weight, and steers nothing.
pub const FALLBACK: [f32; ROTORS] = [HOVER; ROTORS];

/// No rotor is commanded what it cannot give. Three uncertified commands in a row enter the fallback,
/// five certified ones leave it; three ticks may pass without a valid input. Half the sensor error and
/// twice as much are tried too. On the flights of the table no certificate is left out for want of
/// budget.
pub const SETUP: Setup<'static> = Setup {
    enter: 3,
    leave: 5,
    scales: &[0.5, 2.0],
    ..Setup::new(
        (&LEAST, &RANGE),
        SensorError::Box(&ERROR),
        Rule::Limits { lo: &[0.0; ROTORS], hi: &[MOST; ROTORS] },
        &FALLBACK,
        330_000,
        3,
    )
};

/// The monitor's memory.
pub const SIZE: Size = SETUP.size(&MODEL, 1);
/// The monitor.
pub type Mine<'a> = StaticMonitor<'a, { SIZE.floats }, { SIZE.indices }>;
/// As it starts.
pub const START: Mine<'static> = match Mine::new(MODEL, SETUP) {
    Ok(monitor) => monitor,
    Err(_) => panic!("the setup does not fit the model"),
};
/// No tick takes more multiply-adds.
pub const WORST: u64 = SETUP.worst_case(&MODEL);
