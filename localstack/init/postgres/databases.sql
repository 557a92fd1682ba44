-- The databases of two banks: resources, and the authorization server's own.
create database bank_a;
create database bank_a_auth;
create database bank_b;
create database bank_b_auth;
