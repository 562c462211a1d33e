//! Writes TwiML, the XML a provider is told to carry out on a call or as the answer to a message.

/// One instruction. Texts are plain; they are escaped here and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb<'a> {
    Say(&'a str),
    /// Record until the caller hangs up or stays silent. `action` is asked what comes next: without
    /// one the provider asks the current URL again, and the greeting would start over for ever.
    Record {
        action: &'a str,
        status_callback: &'a str,
        seconds_max: u16,
    },
    /// Put the call through. `action` is asked what comes next; the other leg is a call of its own, and
    /// `status_callback` is told how it ended.
    Dial {
        number: &'a str,
        rings_for: u16,
        /// None: as long as Twilio lets it last.
        seconds_max: Option<u32>,
        action: &'a str,
        status_callback: &'a str,
    },
    Message(&'a str),
    Hangup,
    /// Refuse the call before it is answered, and before it costs anything.
    Reject,
}

/// The whole answer. No verb at all means: do nothing.
pub fn response(verbs: &[Verb<'_>]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response>");
    for verb in verbs {
        write(&mut xml, verb);
    }
    xml.push_str("</Response>");
    xml
}

fn write(xml: &mut String, verb: &Verb<'_>) {
    match verb {
        Verb::Say(text) => {
            xml.push_str("<Say voice=\"alice\" language=\"en-US\">");
            escape(xml, text);
            xml.push_str("</Say>");
        }
        Verb::Record {
            action,
            status_callback,
            seconds_max,
        } => {
            xml.push_str("<Record action=\"");
            escape(xml, action);
            xml.push_str("\" method=\"POST\" maxLength=\"");
            xml.push_str(&seconds_max.to_string());
            xml.push_str("\" timeout=\"10\" transcribe=\"false\" recordingStatusCallback=\"");
            escape(xml, status_callback);
            xml.push_str("\" recordingStatusCallbackMethod=\"POST\"/>");
        }
        Verb::Dial {
            number,
            rings_for,
            seconds_max,
            action,
            status_callback,
        } => {
            xml.push_str("<Dial action=\"");
            escape(xml, action);
            xml.push_str("\" method=\"POST\" timeout=\"");
            xml.push_str(&rings_for.to_string());
            if let Some(seconds) = seconds_max {
                xml.push_str("\" timeLimit=\"");
                xml.push_str(&seconds.to_string());
            }
            xml.push_str("\"><Number statusCallback=\"");
            escape(xml, status_callback);
            // A leg counts against the day's cap as long as it lasts: its beginning is asked for too.
            xml.push_str(
                "\" statusCallbackEvent=\"answered completed\" statusCallbackMethod=\"POST\">",
            );
            escape(xml, number);
            xml.push_str("</Number></Dial>");
        }
        Verb::Message(text) => {
            xml.push_str("<Message>");
            escape(xml, text);
            xml.push_str("</Message>");
        }
        Verb::Hangup => xml.push_str("<Hangup/>"),
        Verb::Reject => xml.push_str("<Reject/>"),
    }
}

/// For text and for attributes in double quotes. What XML cannot carry at all is left out.
fn escape(xml: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\t' | '\n' | '\r' => xml.push(c),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c < ' ' => {}
            c => xml.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(verbs: &[Verb<'_>], inside: &str) {
        assert_eq!(
            response(verbs),
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response>{inside}</Response>")
        );
    }

    #[test]
    fn each_verb_is_written_as_the_replaced_service_wrote_it() {
        check(&[], "");
        check(&[Verb::Hangup], "<Hangup/>");
        check(&[Verb::Reject], "<Reject/>");
        check(
            &[
                Verb::Say("Hello!"),
                Verb::Record {
                    action: "https://a.test/x?a=1&b=2",
                    status_callback: "https://a.test/y",
                    seconds_max: 3600,
                },
            ],
            "<Say voice=\"alice\" language=\"en-US\">Hello!</Say><Record action=\"https://a.test/x?a=1&amp;b=2\" \
             method=\"POST\" maxLength=\"3600\" timeout=\"10\" transcribe=\"false\" \
             recordingStatusCallback=\"https://a.test/y\" recordingStatusCallbackMethod=\"POST\"/>",
        );
        check(
            &[Verb::Dial {
                number: "+14155550177",
                rings_for: 30,
                seconds_max: None,
                action: "https://a.test/x?a=1&b=2",
                status_callback: "https://a.test/y",
            }],
            "<Dial action=\"https://a.test/x?a=1&amp;b=2\" method=\"POST\" timeout=\"30\">\
             <Number statusCallback=\"https://a.test/y\" statusCallbackEvent=\"answered completed\" statusCallbackMethod=\"POST\">+14155550177</Number></Dial>",
        );
    }

    #[test]
    fn a_text_cannot_become_a_verb() {
        check(
            &[Verb::Message("<Hangup/> & \"\u{0}\"")],
            "<Message>&lt;Hangup/&gt; &amp; &quot;&quot;</Message>",
        );
    }

    proptest! {
        #[test]
        fn no_text_adds_an_element(text in any::<String>()) {
            let xml = response(&[Verb::Message(&text)]);
            // The declaration, Response and Message, opened and closed.
            prop_assert_eq!(xml.matches('<').count(), 5);
            prop_assert_eq!(xml.matches('>').count(), 5);
        }
    }
}
