{{ newest_as_of(ref('int_role_grants_versioned'), 'user_id, organisation_id, role') }}
