//! Upper bounds: points of a region at which a classifier answers otherwise, and their replay.
//!
//! An attack searches in f32 through the network's own gradient and may err as it likes. Only
//! [`replay()`] turns a point into a verdict: it alone makes a [`Witness`], and
//! [`Witness::verdict`] is the one source of [`Verdict::Falsified`](crate::report::Verdict).
//!
//! * [`gradient`]: outputs and gradients of a batch of points, the trait that attacks run on.
//! * [`threat`]: where an attack may go; [`project`](mod@project): the nearest points of it.
//! * [`descent`]: FGSM, I-FGSM and PGD; [`deepfool`](mod@deepfool): DeepFool.
//! * [`nearest`](mod@nearest): the smallest distance at which a witness is found.
//! * [`answer`]: attacks on a question's samples.

pub mod answer;
pub mod deepfool;
pub mod descent;
pub mod distance;
pub mod gradient;
pub(crate) mod lead;
pub mod nearest;
pub mod project;
pub mod replay;
mod segment;
mod start;
pub mod threat;

pub use answer::{Attack, Method, Worker};
pub use deepfool::DeepFool;
pub use descent::{Aim, Descent, Found, Loss};
pub use gradient::{Cpu, Gradient};
pub use lead::lead;
pub use nearest::Nearest;
pub use replay::{Refusal, Witness, replay};
pub use threat::{Place, Threat};
