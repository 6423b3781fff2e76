"""VAPID keys as other programs write them. Made for the tests, by those programs where it says so."""

from __future__ import annotations

from typing import Final

NODE_JSON: Final = (
    '{"publicKey":"BKVvoid0jPSsJ82ygk_TfIbLUtiTasDer-ioNKfLN3dKHf1Fmj7NKGUSdp1bKWsZVtbws6elqL_0c_uN_LWAxSU",'
    '"privateKey":"7QZmfsAiTiCMu8DtHi7D5cVGcdTgMunRY0Embylwjs0"}\n'
)
"""`web-push generate-vapid-keys --json` of web-push 3.6.7."""
NODE_TEXT: Final = """
=======================================

Public Key:
BMrioigfAoXiEIrVEOiISrGoOwr3Z7k1na3Fv7sdfx_n6qnSKRN3Wzx8mQC0s1N1npXooDBnnnD7bU5z73KCsxo

Private Key:
yUiUJsc7rlZ5KFgHlLJB1msrt48bkRtCAv7bVqEnZKU

=======================================

"""
"""`web-push generate-vapid-keys` of web-push 3.6.7."""
PHP_JSON: Final = (
    '{"publicKey":"BHTt508qP9fEhLUBbx0YQ9BdqwnqIOIbQE4S8SAyyN352ok8Q3bve5QXsEsza1Ib3TemWzrfND7BX-L2cG93sHc",'
    '"privateKey":"n6Z88PGKgymRcKFl4q7eFI1a9XepCByKu0HOiN52w2o"}'
)
"""`json_encode(VAPID::createVapidKeys())` of web-push-php."""
PHP_BASE64_JSON: Final = (
    r'{"publicKey":"BEB06FTnCW91ZP66E9n\/4d++i5isnroQuBrpmRsGGh6T2ymoDWBel6fRi1ZbMyGLbi62+GqqZGGXZAmqNvWjJu8=",'
    r'"privateKey":"2xo30DlpNavmjYss3j6VkhhGvtw\/UslOQM6PFNiXYq0="}'
)
"""The same where the halves are in base64, with the slashes as PHP's JSON has them."""
PHP_DUMP: Final = """array(2) {
  ["publicKey"]=>
  string(87) "BHTt508qP9fEhLUBbx0YQ9BdqwnqIOIbQE4S8SAyyN352ok8Q3bve5QXsEsza1Ib3TemWzrfND7BX-L2cG93sHc"
  ["privateKey"]=>
  string(43) "n6Z88PGKgymRcKFl4q7eFI1a9XepCByKu0HOiN52w2o"
}
"""
"""`var_dump` of it, as web-push-php's README says to do."""
VARIABLES: Final = (
    "VAPID_PUBLIC_KEY=BPIelSJe5DMWcoD8IhokiAJDWN2GB6rrfKb7iDZUynV3WAeowmSs92dmzNSYe1rXB7rUcbAPye2c_TzS2rn3CT0\n"
    "VAPID_PRIVATE_KEY='KE29oFK74CaE3gD-8q4tGAq_pytVfLTIewFrmJXs1MQ'\n"
)
"""An `.env` file."""
TWO_LINES: Final = (
    "KE29oFK74CaE3gD-8q4tGAq_pytVfLTIewFrmJXs1MQ\n"
    "BPIelSJe5DMWcoD8IhokiAJDWN2GB6rrfKb7iDZUynV3WAeowmSs92dmzNSYe1rXB7rUcbAPye2c_TzS2rn3CT0"
)
"""A pair, the private half first."""

OPENSSL_PUBLIC: Final = "BGeLFqiNijcx3uGouwgcV4v740L9QvW7noJYUs3_qJjG6tGpiUCBPNKXpnawtW0xZSW8ouk68ua_LHuESqaHab8"
"""The public half of all keys below, in base64url."""
OPENSSL_ECPARAM: Final = """-----BEGIN EC PARAMETERS-----
BggqhkjOPQMBBw==
-----END EC PARAMETERS-----
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEINXLaO1f3UFiA7y9FkC7l/tYCOtsT+2fRifBv0dP72dBoAoGCCqGSM49
AwEHoUQDQgAEZ4sWqI2KNzHe4ai7CBxXi/vjQv1C9bueglhSzf+omMbq0amJQIE8
0pemdrC1bTFlJbyi6Try5r8se4RKpodpvw==
-----END EC PRIVATE KEY-----
"""
"""`openssl ecparam -name prime256v1 -genkey` of OpenSSL 3.0: SEC 1 with parameters before it."""
OPENSSL_NO_PUBLIC: Final = """-----BEGIN EC PRIVATE KEY-----
MDECAQEEINXLaO1f3UFiA7y9FkC7l/tYCOtsT+2fRifBv0dP72dBoAoGCCqGSM49
AwEH
-----END EC PRIVATE KEY-----
"""
"""`openssl ec -no_public`: the public half is left out."""
OPENSSL_PKCS8: Final = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg1cto7V/dQWIDvL0W
QLuX+1gI62xP7Z9GJ8G/R0/vZ0GhRANCAARnixaojYo3Md7hqLsIHFeL++NC/UL1
u56CWFLN/6iYxurRqYlAgTzSl6Z2sLVtMWUlvKLpOvLmvyx7hEqmh2m/
-----END PRIVATE KEY-----
"""
"""`openssl pkcs8 -topk8 -nocrypt`."""
OPENSSL_PUBLIC_ONLY: Final = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZ4sWqI2KNzHe4ai7CBxXi/vjQv1C
9bueglhSzf+omMbq0amJQIE80pemdrC1bTFlJbyi6Try5r8se4RKpodpvw==
-----END PUBLIC KEY-----
"""
"""`openssl ec -pubout`."""
OPENSSL_ENCRYPTED_SEC1: Final = """-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,63524775C1520CFBF1BA4D279DA5D018

VKsA0dIglE+yy8c3aQpei+3urioOpqo3In+80CrpptdWIiU0qkDNYkYhJeYjfe1L
o56YwK123k95bPMJ4F+3QwnJ1EhOddIGuyAdsjrRRvfSUdPgMeTP9jxFqdJB6j1w
YbUpS5LwiYOW/9GE5HbfeKxd/yPiSu7roiJ76Qy98CQ=
-----END EC PRIVATE KEY-----
"""
"""`openssl ec -aes128`."""
OPENSSL_ENCRYPTED_PKCS8: Final = """-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjrXIlN5ZjTiQICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEJ2DJH3eLZ9534UvarO3YskEgZBX
CNCXiw9iBknuS7Jxb/Bp+M5Us0Y+Or9jSz1OmzLrkBOjlau/MKsOqRVRy5Hu7VZb
xdYR9oxtQPLIdj33kJ0vs+YtnIb7YJtDKsnCUKkzC6m8MiSiiTrgkpjZT9uFlpMc
LMmO4vzAShvbyEJGDkgH95VK+JEc7vpmpFuvOM8fOwB1RQDRfIf6lkrwr7OPURI=
-----END ENCRYPTED PRIVATE KEY-----
"""
"""`openssl pkcs8 -topk8` with a password."""
OPENSSL_P384: Final = """-----BEGIN EC PARAMETERS-----
BgUrgQQAIg==
-----END EC PARAMETERS-----
-----BEGIN EC PRIVATE KEY-----
MIGkAgEBBDAiDiFvX3FfvnAGut+SY+7FDs+oAy/vwcM7ecrhKo3uapSEXDa6jwOY
/D/8L7EWyq6gBwYFK4EEACKhZANiAATxmN0M5FkVufEY/NH3tiHTRMufGSHK+Gu2
KBT/A2ryYGERiXLAGvaWz+y41+c1F/Nx+C3yzfzdp28h+KcwFiVZL09zCsdbHk3T
rIRGlpKoRswtZWlUskcQvOsDv2QvDIE=
-----END EC PRIVATE KEY-----
"""
"""A key on another curve."""

TAKEN: Final = {
    "node web-push, JSON": NODE_JSON,
    "node web-push, text": NODE_TEXT,
    "web-push-php, JSON": PHP_JSON,
    "web-push-php, base64": PHP_BASE64_JSON,
    "web-push-php, dump": PHP_DUMP,
    "variables": VARIABLES,
    "two lines": TWO_LINES,
    "OpenSSL, SEC 1": OPENSSL_ECPARAM,
    "OpenSSL, without the public half": OPENSSL_NO_PUBLIC,
    "OpenSSL, PKCS 8": OPENSSL_PKCS8,
}
"""Every text that is taken, by where it comes from."""
