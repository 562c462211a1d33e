use proptest::prelude::*;

use super::*;

fn key(byte: u8) -> String {
    format!("k{byte}:{}", hex::encode([byte; 32]))
}

fn ring(entries: &[String]) -> Keyring {
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| SecretString::from(entry.as_str()))
        .collect();
    Keyring::new(&entries).unwrap()
}

fn refusal(entries: &[&str]) -> String {
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| SecretString::from(*entry))
        .collect();
    Keyring::new(&entries).unwrap_err().to_string()
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

#[test]
fn without_a_good_key_there_is_no_keyring() {
    let good = "ab".repeat(32);
    assert!(refusal(&[]).contains("ENCRYPTION_KEY is not set"));
    assert!(refusal(&["abcd"]).contains("entry 1 of ENCRYPTION_KEY is not 64"));
    assert!(
        refusal(&[&good, &format!("a.b:{good}")]).contains("entry 2 of ENCRYPTION_KEY needs an id")
    );
    assert!(refusal(&[&format!("a:{good}"), &format!("a:{good}")]).contains("repeats the id"));
    assert!(
        !refusal(&[&good[1..]]).contains("abab"),
        "a key with a typo stays out of the error"
    );
    assert_eq!(ring(&[good]).first_id(), "1");
}

#[test]
fn a_new_key_opens_nothing_until_it_is_sealed_again_and_the_old_one_may_go_then() {
    let place = Place::subaccount_token("ann");
    let sealed = ring(&[key(1)]).seal(&secret("token"), place);
    let both = ring(&[key(2), key(1)]);
    assert!(both.is_outdated(&sealed));
    assert!(
        matches!(ring(&[key(2)]).open(&sealed, place), Err(SealError::UnknownKey(id)) if id == "k1")
    );

    let resealed = both.reseal(&sealed, place).unwrap().unwrap();

    assert_eq!(both.reseal(&resealed, place).unwrap(), None);
    assert_eq!(
        ring(&[key(2)])
            .open(&resealed, place)
            .unwrap()
            .expose_secret(),
        "token"
    );
}

#[test]
fn a_value_relabelled_to_another_key_id_does_not_open_even_under_the_same_key() {
    let here = Place::subaccount_token("ann");
    let same = "ab".repeat(32);
    let ring = ring(&[format!("a:{same}"), format!("b:{same}")]);
    let relabelled = ring.seal(&secret("token"), here).replace("v1.a.", "v1.b.");
    assert!(matches!(
        ring.open(&relabelled, here),
        Err(SealError::DoesNotOpen)
    ));
}

#[test]
fn one_secret_never_seals_to_the_same_text_twice() {
    let ring = ring(&[key(1)]);
    let sealed = || ring.seal(&secret("token"), Place::subaccount_token("ann"));
    let texts: std::collections::HashSet<_> = (0..1000).map(|_| sealed()).collect();
    assert_eq!(texts.len(), 1000);
}

#[test]
fn a_keyring_prints_its_ids_and_no_key() {
    assert_eq!(format!("{:?}", ring(&[key(2), key(1)])), r#"["k2", "k1"]"#);
}

type Parts = (String, String, String, String);

fn place((table, column, account_id, row): &Parts) -> Place<'_> {
    Place {
        table,
        column,
        account_id,
        row,
    }
}

fn parts() -> impl Strategy<Value = Parts> {
    // A small alphabet, so that parts which only differ in where they are cut do come up.
    let part = || "[ab.]{0,3}";
    (part(), part(), part(), part())
}

proptest! {
    #[test]
    fn what_was_sealed_opens_in_its_place_and_in_no_other(text in ".{0,80}", here in parts(), there in parts()) {
        let ring = ring(&[key(1)]);
        let sealed = ring.seal(&secret(&text), place(&here));
        let opened = ring.open(&sealed, place(&here)).unwrap();
        prop_assert_eq!(opened.expose_secret(), text.as_str());
        prop_assert_eq!(ring.open(&sealed, place(&there)).is_ok(), here == there);
    }

    #[test]
    fn a_changed_character_never_opens(text in ".{0,40}", at in any::<prop::sample::Index>(), by in 1..127u8) {
        let ring = ring(&[key(1), key(2)]);
        let here = Place::subaccount_token("ann");
        let mut sealed = ring.seal(&secret(&text), here).into_bytes();
        let at = at.index(sealed.len());
        sealed[at] = (sealed[at] + by) % 128;
        let sealed = String::from_utf8(sealed).unwrap();
        prop_assert!(ring.open(&sealed, here).is_err());
    }

    #[test]
    fn another_key_under_the_same_id_never_opens(text in ".{0,40}", bytes in any::<[u8; 32]>()) {
        let here = Place::subaccount_token("ann");
        let sealed = ring(&[key(1)]).seal(&secret(&text), here);
        prop_assume!(bytes != [1; 32]);
        let other = ring(&[format!("k1:{}", hex::encode(bytes))]);
        prop_assert!(matches!(other.open(&sealed, here), Err(SealError::DoesNotOpen)));
    }

    #[test]
    fn any_text_that_is_not_sealed_is_an_error_and_no_panic(text in ".{0,60}") {
        let here = Place::subaccount_token("ann");
        prop_assert!(ring(&[key(1)]).open(&text, here).is_err());
        let labelled = format!("v1.k1.{text}");
        prop_assert!(ring(&[key(1)]).open(&labelled, here).is_err());
    }
}
