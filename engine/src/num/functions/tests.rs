use super::Function::{self, *};
