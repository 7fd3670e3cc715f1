{{ newest_as_of(ref('int_user_identities_versioned'), 'identity') }}
