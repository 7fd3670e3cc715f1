{{ newest_as_of(ref('int_users_versioned'), 'user_id') }}
