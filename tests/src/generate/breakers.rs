//! Small networks on which a verifier that forgets rounding is wrong, each for its own reason.

use certus::network::Network;
use certus_engine::model::Activation::{Identity, LeakyRelu, Relu};

use super::draw::power;
use super::{Case, affine, network};
use crate::rational::{Rational, exact};
use crate::region::{Norm, Region};

/// A hand-written case and the exact minimum of its specification.
#[derive(Clone, Debug)]
pub struct Breaker {
    /// The case; its specification row is `[1]`.
    pub case: Case,
    /// The exact margin. Never positive, unless the name says `positive`.
    pub margin: Rational,
}

/// `2^e` as f32.
fn p(e: i32) -> f32 {
    power(e) as f32
}

/// `2^e` exactly.
fn q(e: i32) -> Rational {
    exact(power(e))
}

fn breaker(name: &str, net: Network, region: Region, margin: Rational) -> Breaker {
    Breaker { case: Case { name: name.into(), net, region, spec_row: vec![1.0] }, margin }
}

/// A ReLU layer and an output.
fn shallow(rows: &[&[f32]], bias: &[f32], out: &[f32], last: f32) -> Network {
    network(vec![affine(rows, bias, Relu), affine(&[out], &[last], Identity)])
}

fn interval(lo: f32, hi: f32) -> Region {
    Region::cube(&[lo], &[hi])
}

/// Every hand-written breaker.
pub fn breakers() -> Vec<Breaker> {
    let mut all = Vec::new();
    absorption(&mut all);
    products(&mut all);
    sums(&mut all);
    layers(&mut all);
    underflow(&mut all);
    overflow(&mut all);
    norms(&mut all);
    slopes(&mut all);
    all
}

fn absorption(all: &mut Vec<Breaker>) {
    // x + 1/2 in reals; -1 + 2^25 rounds to 2^25.
    let net = shallow(&[&[1.0], &[0.0]], &[p(25), p(25)], &[1.0, -1.0], 0.5);
    all.push(breaker("absorbed input", net, interval(-1.0, 1.0), exact(-0.5)));
    // x - 1/2; back-substitution adds 2^25 to -1/2 first.
    let net = shallow(&[&[1.0], &[0.0]], &[p(25), p(25)], &[1.0, -1.0], -0.5);
    all.push(breaker("absorbed bias", net, interval(0.25, 0.5), exact(-0.25)));
    // The radius is below half an ulp of the centre.
    let net = shallow(&[&[1.0], &[0.0]], &[0.0, 1e30], &[1.0, -1.0], 1.0);
    let ball = Region::ball(&[1e30], 1e20, Norm::Linf);
    all.push(breaker("input of 1e30", net, ball, exact(1.0) - exact(1e20)));
    // The radius itself is no f32: narrowed to nearest it loses 2^-30.
    let net = shallow(&[&[p(24), 1.0]], &[p(26)], &[1.0], -p(26) + p(24));
    let ball = Region::ball(&[0.0, 0.0], 1.0 + power(-30), Norm::L1);
    all.push(breaker("radius narrowed", net, ball, -q(-6)));
}

fn products(all: &mut Vec<Breaker>) {
    // 1e7 * (0.1 - (0.1 + ulp)) x + 0.13
    let w = 0.1f32;
    let net = shallow(&[&[w], &[w.next_up()]], &[0.0, 0.0], &[1e7, -1e7], 0.13);
    let margin = exact(0.13f32) - exact(1e7) * q(-26);
    all.push(breaker("cancelling products", net, interval(1.0, 2.0), margin));
    // 1 - 0.1 x + 1e-8 at x = 10: the product rounds down to 1.
    let net = shallow(&[&[0.0], &[w]], &[1.0, 0.0], &[1.0, -1.0], 1e-8);
    let margin = exact(1.0) - exact(w) * exact(10.0) + exact(1e-8f32);
    all.push(breaker("sign of a rounded product", net, interval(0.0, 10.0), margin));
    // Ten times 0.1 x against 10 * 0.1 x: zero everywhere, 1e-7 x in floats.
    let mut out = vec![1.0; 10];
    out.push(-10.0);
    let net = shallow(&[&[w][..]; 11], &[0.0; 11], &out, 0.0);
    all.push(breaker("exact tie", net, interval(1.0, 2.0), exact(0.0)));
    // The same, an ulp of the bias above zero: positive, but by far less than a float sum says.
    let net = shallow(&[&[w][..]; 11], &[0.0; 11], &out, 1e-45);
    all.push(breaker("exact tie, positive ulp", net, interval(1.0, 2.0), q(-149)));
    let net = shallow(&[&[w][..]; 11], &[0.0; 11], &out, -1e-45);
    all.push(breaker("exact tie, negative ulp", net, interval(1.0, 2.0), -q(-149)));
}

fn sums(all: &mut Vec<Breaker>) {
    let ones = vec![-1.0; 999];
    // 2^26 - 999 x - (2^26 - 500), term by term.
    let mut rows: Vec<&[f32]> = vec![&[0.0]];
    rows.extend([&[1.0f32][..]; 999]);
    let mut bias = vec![p(26)];
    bias.extend([0.0; 999]);
    let out = [&[1.0][..], &ones].concat();
    let net = shallow(&rows, &bias, &out, 500.0 - p(26));
    all.push(breaker("thousand small terms", net, interval(0.0, 1.0), exact(-499.0)));
    // 2^26 x - 999 x - 2^26 x + 500: the coefficient of x is lost.
    let mut rows: Vec<&[f32]> = vec![&[1.0]; 1000];
    rows.push(&[1.0]);
    let out = [&[p(26)][..], &ones, &[-p(26)]].concat();
    let net = shallow(&rows, &[0.0; 1001], &out, 500.0);
    all.push(breaker("thousand small coefficients", net, interval(0.0, 1.0), exact(-499.0)));
}

fn layers(all: &mut Vec<Breaker>) {
    // 2^13 ((x + 2^12) - 2^12) + 1/2
    let net = network(vec![
        affine(&[&[1.0], &[0.0]], &[p(12), p(12)], Relu),
        affine(&[&[p(13), -p(13)]], &[1.0], Relu),
        affine(&[&[1.0]], &[-0.5], Identity),
    ]);
    all.push(breaker("cancellation scaled up", net, interval(-p(-13), p(-13)), exact(-0.5)));
    // (1 + 2^-12)^2 against 1 + 2^-11: the product of two layers loses 2^-24.
    let w = 1.0 + p(-12);
    let net = network(vec![
        affine(&[&[w], &[1.0]], &[0.0, 0.0], Relu),
        affine(&[&[w, 0.0], &[0.0, 1.0 + p(-11)]], &[0.0, 0.0], Relu),
        affine(&[&[-1.0, 1.0]], &[1.5], Identity),
    ]);
    all.push(breaker("product of layers", net, interval(p(24), p(25)), exact(-0.5)));
    // relu(x), where x = (x + 2^25) - 2^25 looks like a constant zero: a unit taken for dead.
    let net = network(vec![
        affine(&[&[1.0], &[0.0]], &[p(25), p(25)], Relu),
        affine(&[&[1.0, -1.0]], &[0.0], Relu),
        affine(&[&[-1024.0]], &[1.0], Identity),
    ]);
    all.push(breaker("unit taken for dead", net, interval(-1.0, 1.0), exact(-1023.0)));
}

fn underflow(all: &mut Vec<Breaker>) {
    // -2^-50 * 2^-100 x + 2^-51 for x up to 2^100.
    let net = shallow(&[&[p(-100)]], &[0.0], &[-p(-50)], p(-51));
    all.push(breaker("product flushed", net, interval(0.0, p(100)), -q(-51)));
    // -2^-151 x + 2^-149
    let net = shallow(&[&[p(-149)]], &[0.0], &[-0.25], p(-149));
    all.push(breaker("ulp below zero", net, interval(0.0, 8.0), -q(-149)));
    // A subnormal weight: flushed inputs make it zero; halved and doubled it is lost.
    let net = network(vec![
        affine(&[&[p(-149)]], &[0.0], Relu),
        affine(&[&[0.5]], &[0.0], Relu),
        affine(&[&[-p(120)]], &[p(-31)], Identity),
    ]);
    all.push(breaker("subnormal halved", net, interval(0.0, 1.0), q(-31) - q(-30)));
}

fn overflow(all: &mut Vec<Breaker>) {
    // The radius is beyond f32: bounds are infinite, slopes inf / inf.
    let net = shallow(&[&[1.0]], &[0.0], &[-1.0], 1e38);
    let ball = Region::ball(&[0.0], 1e39, Norm::Linf);
    all.push(breaker("infinite radius", net, ball, exact(1e38f32) - exact(1e39)));
    // inf - inf is NaN, and max(NaN, 0) is 0.
    let net = shallow(&[&[p(100), -p(100)]], &[0.0], &[-1.0], 1.0);
    let cube = Region::cube(&[p(99), p(99)], &[p(100), p(100)]);
    all.push(breaker("infinity less infinity", net, cube, exact(1.0) - q(200) + q(199)));
}

fn norms(all: &mut Vec<Breaker>) {
    // |(3, 4)| = 5 at a scale whose squares vanish.
    let net = shallow(&[&[3.0 * p(-80), 4.0 * p(-80)]], &[8.0], &[1.0], -7.0);
    let ball = Region::ball(&[0.0, 0.0], power(80), Norm::L2);
    all.push(breaker("squares vanish", net, ball, exact(-4.0)));
    // 1e20 beside 1: the squares overflow, the bounds are infinite.
    let net = shallow(&[&[1e20, 1.0]], &[0.0], &[-1.0], 0.0);
    let ball = Region::ball(&[0.0, 0.0], 1.0, Norm::L2).cut(&[-1.0, 0.0], &[1.0, 0.0]);
    all.push(breaker("squares overflow", net, ball, -exact(1e20f32)));
    // |(2^13, 2^24 - 1)| = 2^24 + 1, which f32 rounds to 2^24.
    let net = shallow(&[&[p(13), p(24) - 1.0]], &[p(26)], &[1.0], p(24) - p(26));
    let ball = Region::ball(&[0.0, 0.0], 1.0, Norm::L2);
    all.push(breaker("dominated in the l2 norm", net, ball, exact(-1.0)));
    // |(2^25, 1, 1)|_1 = 2^25 + 2, which f32 sums to 2^25.
    let net = shallow(&[&[p(25), 1.0, 1.0]], &[p(27)], &[1.0], p(25) - p(27));
    let ball = Region::ball(&[0.0; 3], 1.0, Norm::Linf);
    all.push(breaker("dominated in the l1 norm", net, ball, exact(-2.0)));
    // The largest weight is 2^-24 short of its neighbour after a sum of two products.
    let net = shallow(&[&[1.0, 1.0], &[p(-24), 0.0]], &[8.0, 8.0], &[1.0, 1.0], -15.0);
    let ball = Region::ball(&[0.0, 0.0], 1.0, Norm::L1);
    all.push(breaker("largest weight rounded", net, ball, -q(-24)));
}

fn slopes(all: &mut Vec<Breaker>) {
    // 0.1 * -7 rounds up by 2e-8.
    let leaky = |slope, out: &[f32], last| {
        let first = affine(&[&[1.0], &[0.0]], &[0.0, 0.7], LeakyRelu(slope));
        network(vec![first, affine(&[out], &[last], Identity)])
    };
    let margin = exact(0.7f32) - exact(0.1f32) * exact(7.0) + exact(1e-8f32);
    let net = leaky(0.1, &[1.0, 1.0], 1e-8);
    all.push(breaker("leaky product rounded", net, interval(-7.0, -6.0), margin));
    // A slope of 2^-149 times 1/4 is zero in f32.
    let net = leaky(p(-149), &[p(100), 0.0], p(-52));
    all.push(breaker("leaky product flushed", net, interval(-0.25, 0.25), q(-52) - q(-51)));
}
