#[derive(Clone)]
pub struct Twilio;
