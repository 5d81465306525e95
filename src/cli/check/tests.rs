//! The command as a whole.

use super::*;

#[test]
fn identities_are_configured_or_named_with_a_kind() {
    let known = Identities::default();
    let named = |text: Option<&str>| identity(text, Some("me".to_owned()), &known);
    assert_eq!(named(None).map(|identity| identity.name), Ok("me".to_owned()));
    assert_eq!(named(Some("bot:agent")).map(|identity| identity.kind), Ok(IdentityKind::Agent));
    assert_eq!(named(Some("bot")).map(|identity| identity.kind), Ok(IdentityKind::Service));
    assert!(matches!(named(Some("bot:robot")), Err(Failure::Told { exit: Exit::Usage, .. })));
}
