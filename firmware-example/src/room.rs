//! How much memory the programs that run the shared networks need.

use certus_engine::bounds::Size;

use crate::bits::Step;
use crate::nets;

/// Room for every step of every network.
pub const MOST: Size = {
    let mut most = Size { floats: 0, indices: 0 };
    let mut i = 0;
    while i < nets::ALL.len() * Step::ALL.len() {
        let (net, step) = (&nets::ALL[i / Step::ALL.len()], Step::ALL[i % Step::ALL.len()]);
        let size = step.size(net, net.ends);
        most.floats = if size.floats > most.floats { size.floats } else { most.floats };
        most.indices = if size.indices > most.indices { size.indices } else { most.indices };
        i += 1;
    }
    most
};
