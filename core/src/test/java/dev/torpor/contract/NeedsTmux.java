package dev.torpor.contract;

import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ExtendWith;

/** A test that uses tmux as its terminal, see {@link Programs#tmux()}. The build finds it by its tag. */
@Target({ElementType.TYPE, ElementType.METHOD})
@Retention(RetentionPolicy.RUNTIME)
@Inherited
@Tag(Programs.TMUX)
@ExtendWith(DeclaredPrograms.class)
public @interface NeedsTmux {}
