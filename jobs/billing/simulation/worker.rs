//! The jobs, as far as they decide: periods, rating, placing, and getting what is owed onto invoices. One run may
//! end anywhere; whoever comes next goes on from the book.

use super::History;

/// A run that ended in the middle.
pub struct Crashed;

impl History {
    /// One run of everything that is due. Whether another one is wanted.
    pub fn run(&mut self) -> bool {
        self.steps_left = match self.is_calm {
            true => usize::MAX,
            false => 1 + self.dice.below(30) as usize,
        };
        match self.do_what_is_due() {
            Ok(wants_more) => wants_more,
            Err(Crashed) => {
                self.note(|| "the worker dies".to_owned());
                true
            }
        }
    }

    fn do_what_is_due(&mut self) -> Result<bool, Crashed> {
        self.plan_periods();
        self.wake_stalled();
        let mut wants_more = self.rate_periods()?;
        self.step()?;
        wants_more |= self.place_charges();
        for invoice in 0..self.book.invoices.len() {
            wants_more |= self.work_on(invoice)?;
        }
        Ok(wants_more && !self.book.is_parked)
    }

    /// A commit is behind us; here a worker may die.
    pub fn step(&mut self) -> Result<(), Crashed> {
        self.steps_left = self.steps_left.checked_sub(1).ok_or(Crashed)?;
        Ok(())
    }
}
