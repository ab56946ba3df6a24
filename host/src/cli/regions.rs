//! `certus pack --regions`: what is certified beforehand, and what the numbers on the command line mean.

use certus_engine::model::Model;
use certus_engine::monitor::Rule;

use super::numbers::{LARGEST_END, down, numbers, up};
use super::options::ComputeArgs;
use crate::cover::{Ask, Cover, Settings, cover};
use crate::error::{Error, Result};

/// What to certify beforehand.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Certified regions")]
pub struct RegionArgs {
    /// Certify boxes of inputs for the run-time monitor, and put a table of them behind the model
    #[arg(long, requires_all = ["range", "sensor_error"])]
    regions: bool,
    /// Divide this box of inputs: lower ends and upper ends, each a,b,c or one value for all inputs
    #[arg(long, num_args = 2, value_names = ["LO", "HI"], allow_hyphen_values = true,
        requires = "regions")]
    range: Option<Vec<String>>,
    /// Certify for every state within this of an input, each way: a,b,c or one value for all inputs
    #[arg(long, value_name = "E", allow_hyphen_values = true, requires = "regions")]
    sensor_error: Option<String>,
    /// Prove that outputs lie between these: a,b,c or one value for all outputs; inf is no limit
    #[arg(long, num_args = 2, value_names = ["LO", "HI"], allow_hyphen_values = true,
        requires = "regions", conflicts_with = "margin")]
    limits: Option<Vec<String>>,
    /// Prove that one output is above every other by more than this, and stays the same one
    #[arg(long, value_name = "M", allow_hyphen_values = true, requires = "regions")]
    margin: Option<f64>,
    /// Divide the range into so many boxes at most
    #[arg(long, value_name = "N", default_value_t = 512, allow_negative_numbers = true,
        requires = "regions",
        value_parser = clap::value_parser!(u32).range(1..=Settings::MOST_LEAVES as i64))]
    max_leaves: u32,
    /// Bisect so often at most, one after the other
    #[arg(long, value_name = "D", default_value_t = 24, allow_negative_numbers = true,
        requires = "regions",
        value_parser = clap::value_parser!(u32).range(0..=Settings::MOST_DEPTH as i64))]
    depth: u32,
}

/// Ends of a range and errors are below this, so that they can be added.
const LARGEST: f32 = LARGEST_END / 2.0;

/// What [`RegionArgs`] ask, in floats that ask no less.
#[derive(Debug)]
pub struct Asked {
    range: [Vec<f32>; 2],
    error: Vec<f32>,
    rule: AskedRule,
    settings: Settings,
}

#[derive(Debug)]
enum AskedRule {
    Limits([Vec<f32>; 2]),
    Class(f32),
}

impl RegionArgs {
    /// What is asked of a model with so many inputs and outputs; `None` if nothing is. The range and
    /// the error are rounded outward, limits inward, and a margin up.
    ///
    /// # Errors
    /// The option, what it says and what was expected.
    pub fn read(&self, inputs: usize, outputs: usize) -> Result<Option<Asked>> {
        let (Some(range), Some(error)) = (&self.range, &self.sensor_error) else { return Ok(None) };
        if !self.regions {
            return Ok(None);
        }
        let inputs = (inputs, "inputs");
        let [lo, hi] = ends("--range", range, inputs, Some(LARGEST))?;
        let error = numbers("--sensor-error", error, inputs, Some(LARGEST))?;
        if let Some(i) = error.iter().position(|e| *e < 0.0) {
            let message = format!("--sensor-error {} in coordinate {i}", error[i]);
            return Err(Error::Usage(format!("{message}, expected 0 or more")));
        }
        let error = error.into_iter().map(up).collect();
        let rule = match (&self.limits, self.margin) {
            (Some(limits), _) => {
                let [lo, hi] = ends("--limits", limits, (outputs, "outputs"), None)?;
                let [lo, hi] = [clamped(lo, up), clamped(hi, down)];
                if let Some(i) = (0..outputs).find(|i| !(lo[*i] < hi[*i])) {
                    let message = format!("--limits from {} to {} in output {i}", lo[i], hi[i]);
                    return Err(Error::Usage(format!("{message}, expected LO below HI")));
                }
                AskedRule::Limits([lo, hi])
            }
            (None, Some(margin)) => {
                if !(margin >= 0.0 && up(margin) < LARGEST) {
                    let message = format!("--margin {margin}, expected a number of 0 or more");
                    return Err(Error::Usage(message));
                }
                if outputs < 2 {
                    let message = "--margin: the model has 1 output, expected --limits LO HI";
                    return Err(Error::Usage(message.to_owned()));
                }
                AskedRule::Class(up(margin))
            }
            (None, None) => {
                let message = "--regions: expected also --limits LO HI or --margin M";
                return Err(Error::Usage(message.to_owned()));
            }
        };
        let settings = Settings { leaves: self.max_leaves as usize, depth: self.depth as usize };
        let range = [lo.into_iter().map(down).collect(), hi.into_iter().map(up).collect()];
        Ok(Some(Asked { range, error, rule, settings }))
    }
}

impl Asked {
    /// The table for a model.
    ///
    /// # Errors
    /// [`cover`]'s, and threads that the system does not give.
    pub fn cover(&self, model: Model<'_>, compute: &ComputeArgs) -> Result<Cover> {
        let rule = match &self.rule {
            AskedRule::Limits([lo, hi]) => Rule::Limits { lo, hi },
            AskedRule::Class(margin) => Rule::Class { margin: *margin },
        };
        let [lo, hi] = &self.range;
        let ask = Ask { range: (lo, hi), error: &self.error, rule };
        let device = compute.is_portable();
        compute.pool()?.install(|| cover(model, &ask, &self.settings, device))
    }
}

/// Two lists of numbers, none of the first above that of the second.
fn ends(
    option: &str,
    text: &[String],
    count: (usize, &str),
    most: Option<f32>,
) -> Result<[Vec<f64>; 2]> {
    let [lo, hi] = [&text[0], &text[1]].map(|text| numbers(option, text, count, most));
    let (lo, hi) = (lo?, hi?);
    if let Some(i) = lo.iter().zip(&hi).position(|(lo, hi)| lo > hi) {
        let message = format!("{option} from {} to {} in coordinate {i}", lo[i], hi[i]);
        return Err(Error::Usage(format!("{message}, expected LO not above HI")));
    }
    Ok([lo, hi])
}

/// Limits in single precision; what is infinite, or beyond it, is no limit.
fn clamped(limits: Vec<f64>, round: fn(f64) -> f32) -> Vec<f32> {
    limits.into_iter().map(|x| round(x).clamp(f32::MIN, f32::MAX)).collect()
}
