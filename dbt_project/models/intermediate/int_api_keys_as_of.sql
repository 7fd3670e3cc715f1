{{ newest_as_of(ref('int_api_keys_versioned'), 'api_key_id') }}
