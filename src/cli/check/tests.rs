//! The command as a whole.

use super::*;

#[test]
fn identities_are_configured_or_named_with_a_kind() {
    let known = Identities::default();
    let named = |text: &str| Requester::named(text, &known);
    assert_eq!(Requester::of_role("me", &known).identity.name, "me");
    assert!(
        matches!(named("bot:agent"), Ok(found) if found.identity.kind == IdentityKind::Agent && found.role == "bot")
    );
    assert!(matches!(named("bot"), Ok(found) if found.identity.kind == IdentityKind::Service && found.role == "bot"));
    assert!(matches!(named("bot:robot"), Err(Failure::Told { exit: Exit::Usage, .. })));
}
