#[derive(Clone)]
pub struct Stripe;
