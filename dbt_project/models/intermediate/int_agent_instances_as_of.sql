{{ newest_as_of(ref('int_agent_instances_versioned'), 'agent_instance_id') }}
