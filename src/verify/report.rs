//! What a comparison says: a line for each tensor, what was not compared, and a verdict.

use std::fmt;

use super::Tensors;

/// The comparison of an engine with a fixture; prints as a table.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The file's name without its ending.
    pub fixture: String,
    /// What computed ([`Engine::describe`](crate::Engine::describe)).
    pub engine: String,
    /// Its precision: `f32` or `f64`.
    pub precision: &'static str,
    /// One for each tensor of the file.
    pub rows: Vec<Row>,
    /// Settings that the file's metadata state otherwise, in words: decay, rule, surrogate, loss and
    /// the like.
    pub differences: Vec<String>,
    /// Layers that never fire in the file, from 1.
    pub silent_layers: Vec<usize>,
    /// What the engine computed, by the names of the file's tensors.
    pub found: Tensors,
}

/// One tensor's comparison.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Row {
    /// The tensor's name: `spk1`, `grad.fc2.weight`, …
    pub name: String,
    /// Largest distance of any entry from the file's; infinite where one is not a number, the tensor is
    /// missing or its shape differs.
    pub absolute: f64,
    /// The same, relative to the tensor's largest entry.
    pub relative: f64,
    /// Index of the worst entry: `[step, sample, neuron]` of spikes and membranes, `[out, in]` of
    /// weights.
    pub worst: Vec<usize>,
    /// What `relative` may be.
    pub tolerance: f64,
    /// What follows.
    pub verdict: Verdict,
}

/// The outcome for one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It agrees.
    Pass,
    /// It does not.
    Fail,
    /// Spikes or gradients are all zero in the file, and here: they agree, and that proves nothing.
    Nothing,
    /// A spike in single precision has flipped within rounding of the threshold. What follows from it is
    /// another run, and is not judged.
    Flipped,
    /// Off by no more than the updates move under a rounding's worth of noise on the gradients.
    Rounding,
}

impl Report {
    /// Whether no tensor fails, no setting differs, and there was a gradient to compare.
    ///
    /// Silent layers do not fail it; see [`warnings`](Self::warnings).
    pub fn passes(&self) -> bool {
        let fails = |row: &Row| row.verdict == Verdict::Fail;
        self.has_gradient() && self.differences.is_empty() && !self.rows.iter().any(fails)
    }

    fn has_gradient(&self) -> bool {
        let compared = |row: &Row| row.name.starts_with("grad.") && row.verdict != Verdict::Nothing;
        self.rows.iter().any(compared)
    }

    /// The tensors of zeros, by name: they agree, and that proves nothing.
    pub fn nothing_to_compare(&self) -> Vec<&str> {
        let zero = self
            .rows
            .iter()
            .filter(|row| row.verdict == Verdict::Nothing);
        zero.map(|row| row.name.as_str()).collect()
    }

    /// What this comparison did not prove, in a sentence each; empty where every layer fires and every
    /// parameter has a gradient.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.silent_layers.is_empty() {
            let layers: Vec<String> = self.silent_layers.iter().map(usize::to_string).collect();
            let layers = match &layers[..] {
                [layer] => format!("layer {layer} never fires: its"),
                layers => format!("layers {} never fire: their", layers.join(", ")),
            };
            warnings.push(format!(
                "{layers} spikes, threshold and reset were not compared; take a larger input, or more \
                 steps"
            ));
        }
        let zero = self.nothing_to_compare();
        let zero: Vec<&str> = zero
            .into_iter()
            .filter(|n| n.starts_with("grad."))
            .collect();
        if !zero.is_empty() {
            warnings.push(format!(
                "nothing to compare in {}: all zero",
                zero.join(", ")
            ));
        }
        warnings
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.passes() {
            true => "passed",
            false if self.rows.iter().any(|row| row.verdict == Verdict::Fail) => "FAILED",
            false if !self.differences.is_empty() => "FAILED, settings differ",
            false => "NOTHING TO COMPARE, every gradient is zero",
        };
        let Report {
            fixture,
            engine,
            precision,
            ..
        } = self;
        writeln!(f, "{fixture} · {engine} · {precision} · {verdict}")?;
        for difference in &self.differences {
            writeln!(f, "  differs: {difference}")?;
        }
        for warning in self.warnings() {
            writeln!(f, "  warning: {warning}")?;
        }
        writeln!(
            f,
            "  {:<20} {:>12} {:>12} {:>9}  {:<8} worst at",
            "tensor", "max abs err", "max rel err", "allowed", ""
        )?;
        for row in &self.rows {
            let verdict = match row.verdict {
                Verdict::Pass => "ok",
                Verdict::Fail => "FAIL",
                Verdict::Flipped => "flipped",
                Verdict::Rounding => "rounding",
                Verdict::Nothing => {
                    writeln!(
                        f,
                        "  {:<20} {:>12.3e} {:>12.3e} {:>9.0e}  all zero: nothing to compare",
                        row.name, row.absolute, row.relative, row.tolerance
                    )?;
                    continue;
                }
            };
            writeln!(
                f,
                "  {:<20} {:>12.3e} {:>12.3e} {:>9.0e}  {verdict:<8} {:?}",
                row.name, row.absolute, row.relative, row.tolerance, row.worst
            )?;
        }
        Ok(())
    }
}
